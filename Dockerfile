# Tagferry's image: a Debian, one node, the production dependencies, the program. docs/image.md tells how it is built and proved.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends npm
WORKDIR /build

# The Node that the lockfile names, with its checksum: the tests run on the same one. It is a development dependency there,
# so a lockfile of its own is drawn from ours.
COPY package.json package-lock.json ./
COPY tools/node-runtime/package.json tools/node-runtime/
RUN mkdir /node && node -e ' \
    const name = `node-linux-${process.arch}`, path = `node_modules/${name}`; \
    const { version, integrity } = require("/build/package-lock.json").packages[path]; \
    const root = { name: "node", version: "0.0.0", dependencies: { [name]: version } }; \
    const packages = { "": root, [path]: { version, integrity } }; \
    const write = (file, what) => fs.writeFileSync(`/node/${file}`, JSON.stringify(what)); \
    write("package.json", root); \
    write("package-lock.json", { ...root, lockfileVersion: 3, packages });'

# Both secrets are optional: `npmrc` for a registry of your own, `ca` for its certificate. Neither reaches a layer.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca,target=/run/secrets/ca \
    if [ -f /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi \
    && npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
    && cd /node && npm ci --ignore-scripts --no-audit --no-fund

# What nobody runs: types, source maps, and the links to programs of dependencies (one of them is the way to our node).
RUN find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete \
    && rm -rf node_modules/@types node_modules/.bin node_modules/.package-lock.json \
    && mkdir -p /out/usr/local/bin /out/usr/local/share/doc/node /out/etc/tagferry /out/app node_modules/.bin \
    && cp /node/node_modules/node-linux-*/bin/node /out/usr/local/bin/ \
    && cp /node/node_modules/node-linux-*/LICENSE /out/usr/local/share/doc/node/ \
    && ln -s /usr/local/bin/node node_modules/.bin/node \
    && ln -s /app/bin/tagferry /out/usr/local/bin/tagferry \
    && mv node_modules /out/modules

COPY LICENSE package.json /out/app/
COPY bin /out/app/bin
COPY config /out/app/config
COPY src /out/app/src
# Whatever packages and the umask of the checkout say: root:root and readable. Any UID may run it, none may change it.
RUN chown -R 0:0 /out && chmod -R u=rwX,go=rX /out

FROM ${BASE}
COPY --from=build /out/usr/local /usr/local
COPY --from=build /out/etc/tagferry /etc/tagferry
COPY --from=build /out/modules /app/node_modules
COPY --from=build /out/app /app

# The root file system may be read-only; /tmp is all that is written. No UID needs an entry in /etc/passwd.
ENV HOME=/tmp \
    NODE_COMPILE_CACHE=/tmp/tagferry-compile-cache \
    TAGFERRY_CONFIG=/etc/tagferry/tagferry.yaml
WORKDIR /app
USER 1001:0
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
    CMD ["/app/bin/tagferry", "status", "--live"]

ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tagferry" \
      org.opencontainers.image.description="Mirrors image tags from other people's registries into OpenShift image streams." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}" \
      io.k8s.display-name="Tagferry" \
      io.openshift.expose-services="8080:http"

ENTRYPOINT ["/app/bin/tagferry"]
CMD ["serve"]
