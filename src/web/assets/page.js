// Keeps the page current: each event makes it load itself again. The page works without this script too.

const REFRESH_EVERY_MS = 20_000;
const REFRESH_GAP_MS = 300;

const live = document.querySelector("#live");
const said = document.querySelector("#said");
let refreshing = false;
let again = false;

/** Makes one tree like the other, touching only what differs: focus, selection and open details stay. */
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
  const have = [...old.childNodes];
  const want = [...next.childNodes];
  want.forEach((node, index) => (have[index] ? morph(have[index], node) : old.append(node)));
  have.slice(want.length).forEach((node) => node.remove());
}

async function refresh() {
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = true;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    if (response.status === 401) return location.reload();
    if (response.ok) {
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      document.title = page.title;
      morph(document.querySelector("#main"), page.querySelector("#main"));
    }
  } catch {
    live.hidden = true; // the stream of events shows when the daemon is back
  } finally {
    setTimeout(() => {
      refreshing = false;
      if (again) {
        again = false;
        void refresh();
      }
    }, REFRESH_GAP_MS);
  }
}

const SAID = {
  queued: "is queued",
  duplicate: "is already queued",
  paused: "is paused",
  resumed: "is resumed",
  retried: "is queued again",
};

async function send(form) {
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const response = await fetch(form.action, { method: "POST", headers: { accept: "application/json" } });
    const { mirror, result, message } = await response.json();
    said.textContent = response.ok ? `${mirror} ${SAID[result]}.` : message;
  } catch {
    said.textContent = "The daemon does not answer.";
  } finally {
    button.disabled = false;
    void refresh();
  }
}

document.addEventListener("submit", (event) => {
  if (!("act" in event.target.dataset)) return;
  event.preventDefault();
  void send(event.target);
});

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
