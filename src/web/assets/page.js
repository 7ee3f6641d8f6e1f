// Keeps the page current: each event makes it load itself again. The page works without this script too.

const REFRESH_EVERY_MS = 20_000;
/** A page that takes long to load is loaded less often: at most a tenth of the time goes into it. */
const REFRESH_GAP_MS = 300;
const REFRESH_SHARE = 10;
const TYPING_MS = 250;

const live = document.querySelector("#live");
const said = document.querySelector("#said");
let refreshing = false;
let again = false;

// times: in the zone of the reader; the zone of the schedule, as the server wrote it, stays in the title

const readersTime = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  timeZoneName: "short",
});

function localize(root) {
  for (const time of root.querySelectorAll("time[datetime][title]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const here = readersTime.format(at);
    const there = time.title;
    const shown = time.querySelector(".at");
    if (shown) shown.textContent = here;
    time.title = shown ? there : here === there ? here : `${here} · ${there}`;
  }
}

/** What only works with this script is hidden without it. */
function enhance(root) {
  localize(root);
  for (const all of root.querySelectorAll("[data-all]")) all.hidden = false;
  for (const button of root.querySelectorAll("[data-show]")) button.hidden = true;
  for (const code of root.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small";
    button.dataset.copies = code.textContent;
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${code.textContent}`);
    code.after(button);
  }
}

/** Makes one tree like the other, touching only what differs: focus, selection, ticks and open details stay. */
function morph(old, next) {
  if (old.isEqualNode(next)) return;
  if (old.nodeName !== next.nodeName || old.id !== next.id) return void old.replaceWith(next);
  if (!(old instanceof Element)) {
    old.nodeValue = next.nodeValue;
    return;
  }
  for (const name of old.getAttributeNames())
    if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of next.attributes)
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  morphChildren(old, next);
}

/** What has an id is found by it, wherever it stands now: a tick stays with its mirror when the order changes. */
function morphChildren(old, next) {
  const known = new Map([...old.children].filter(({ id }) => id !== "").map((child) => [child.id, child]));
  const wanted = Array.from(next.childNodes); // those that are new leave it
  let at = old.firstChild;
  for (const node of wanted) {
    const id = node.id ?? "";
    const same = id === "" ? (at && (at.id ?? "") === "" ? at : undefined) : known.get(id);
    if (!same) {
      old.insertBefore(node, at);
      continue;
    }
    if (same === at) at = at.nextSibling;
    else old.insertBefore(same, at);
    morph(same, node);
  }
  while (at) {
    const rest = at;
    at = at.nextSibling;
    rest.remove();
  }
}

async function refresh() {
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = true;
  const startedMs = performance.now();
  try {
    const { href } = location;
    const response = await fetch(href, { headers: { accept: "text/html" } });
    if (response.status === 401) return location.reload();
    if (response.ok) {
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (href !== location.href) again = true; // somebody typed on
      else {
        document.title = page.title;
        enhance(page);
        morph(document.querySelector("#main"), page.querySelector("#main"));
        countChosen();
      }
    }
  } catch {
    live.hidden = true; // the stream of events shows when the daemon is back
  } finally {
    const tookMs = performance.now() - startedMs;
    setTimeout(
      () => {
        refreshing = false;
        if (again) {
          again = false;
          void refresh();
        }
      },
      Math.max(REFRESH_GAP_MS, tookMs * REFRESH_SHARE),
    );
  }
}

// actions

const SAID = {
  queued: "queued",
  duplicate: "already queued",
  paused: "paused",
  resumed: "resumed",
  retried: "queued again",
  cancelled: "cancelled",
  unknown: "no longer there",
};

/** `api is queued.`, or `12 queued, 3 already queued.` */
function words({ mirror, result, results }) {
  if (!results)
    return result === "cancelled" ? `The run of ${mirror} is cancelled.` : `${mirror} is ${SAID[result]}.`;
  if (results.length === 0) return "No mirror is selected.";
  const counts = new Map();
  for (const one of results) counts.set(one.result, (counts.get(one.result) ?? 0) + 1);
  return `${[...counts].map(([one, count]) => `${count} ${SAID[one]}`).join(", ")}.`;
}

async function send(form, button) {
  button.disabled = true;
  try {
    const response = await fetch(button.getAttribute("formaction") ?? form.action, {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams(new FormData(form)),
    });
    const answer = await response.json();
    said.textContent = response.ok ? words(answer) : answer.message;
  } catch {
    said.textContent = "The daemon does not answer.";
  } finally {
    button.disabled = false;
    void refresh();
  }
}

function show(form) {
  const fields = [...new FormData(form)].filter(([, value]) => value !== "");
  const query = new URLSearchParams(fields).toString();
  history.replaceState(null, "", query === "" ? form.action : `${form.action}?${query}`);
  void refresh();
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if ("search" in form.dataset) {
    event.preventDefault();
    show(form);
  }
  if (!("act" in form.dataset)) return;
  event.preventDefault();
  void send(form, event.submitter ?? form.querySelector("button"));
});

// search

let typing;
document.addEventListener("input", (event) => {
  const form = event.target.closest("[data-search]");
  if (!form) return;
  clearTimeout(typing);
  typing = setTimeout(() => show(form), event.target.type === "search" ? TYPING_MS : 0);
});

document.addEventListener("keydown", (event) => {
  const search = document.querySelector("#q");
  if (!search || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !event.target.closest("input:not([type='checkbox']), select, textarea")) {
    event.preventDefault();
    search.focus();
    search.select();
  }
  if (event.key === "Escape" && event.target === search) {
    if (search.value === "") search.blur();
    else {
      search.value = "";
      show(search.form);
    }
  }
});

// ticks

const ticks = () => [...document.querySelectorAll("input[name='mirror']")];

function countChosen() {
  const counter = document.querySelector("[data-chosen]");
  const all = document.querySelector("[data-all]");
  if (!counter) return;
  const rows = ticks();
  const count = rows.filter(({ checked }) => checked).length;
  counter.textContent = count === 0 ? "Select mirrors:" : `${count} selected:`;
  if (!all) return;
  all.checked = count > 0 && count === rows.length;
  all.indeterminate = count > 0 && count < rows.length;
}

document.addEventListener("change", ({ target }) => {
  if ("all" in target.dataset) for (const tick of ticks()) tick.checked = target.checked;
  countChosen();
});

async function copy(button) {
  const { copies } = button.dataset;
  try {
    await navigator.clipboard.writeText(copies);
    said.textContent = `${copies} is copied.`;
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling); // only pages over TLS may write the clipboard
    said.textContent = "Press Ctrl+C to copy what is selected.";
  }
}

document.addEventListener("click", ({ target }) => {
  if ("copies" in (target.dataset ?? {})) void copy(target);
});

enhance(document);
countChosen();

const events = new EventSource("/api/v1/events");
events.addEventListener("open", () => {
  live.hidden = false;
  void refresh();
});
events.addEventListener("error", () => (live.hidden = true));
for (const kind of ["run", "outcome", "progress", "mirror", "config"])
  events.addEventListener(kind, () => void refresh());

const refreshIfSeen = () => void (document.visibilityState === "visible" && refresh());
setInterval(refreshIfSeen, REFRESH_EVERY_MS);
document.addEventListener("visibilitychange", refreshIfSeen);
