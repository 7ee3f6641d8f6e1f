# Tagferry's image: a Debian, one node, the built program. docs/image.md tells how it is built, pinned and proved.
# A tag moves: `npm run image` finds the digest of today and builds on that. With another builder give it yourself:
# --build-arg BASE=docker.io/library/debian:bookworm-slim@sha256:… --build-arg BASE_DIGEST=sha256:…
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends npm
WORKDIR /build

# The Node that the lockfile names, with its checksum: the tests run on the same one. A lockfile of its own is drawn from ours,
# because npm has to run on it: with an older one it leaves out what a package offers to newer ones only.
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
    && (cd /node && npm ci --ignore-scripts --no-audit --no-fund) \
    && mkdir -p /out/usr/local/bin /out/usr/local/share/doc/node /out/etc/tagferry \
    && cp /node/node_modules/node-linux-*/bin/node /out/usr/local/bin/ \
    && cp /node/node_modules/node-linux-*/LICENSE /out/usr/local/share/doc/node/ \
    && ln -s /app/bin/tagferry /out/usr/local/bin/tagferry \
    && export PATH="/out/usr/local/bin:$PATH" NODE_PATH=/usr/share/nodejs \
    && npm ci --ignore-scripts --no-audit --no-fund

COPY CHANGELOG.md LICENSE README.md ./
COPY bin bin
COPY config config
COPY scripts/build.ts scripts/
COPY scripts/build scripts/build
COPY src src
ARG REVISION=unknown
# The program, then what V8 compiled of it, which differs from build to build, for a layer of its own. And the way to our node.
RUN /out/usr/local/bin/node scripts/build.ts --into /out/app --revision "${REVISION}" \
    && mkdir -p /out/app/node_modules/.bin && ln -s /usr/local/bin/node /out/app/node_modules/.bin/node \
    && mv /out/app/dist/cache /out/compiled
# Whatever packages and the umask of the checkout say: root:root and readable. Any UID may run it, none may change it.
RUN chown -R 0:0 /out && chmod -R u=rwX,go=rX /out

FROM ${BASE}
COPY --from=build /out/usr/local /usr/local
COPY --from=build /out/etc/tagferry /etc/tagferry
COPY --from=build /out/app /app
COPY --from=build /out/compiled /app/dist/cache

# The root file system may be read-only, and nothing is written. No UID needs an entry in /etc/passwd.
ENV HOME=/tmp \
    TAGFERRY_CONFIG=/etc/tagferry/tagferry.yaml
WORKDIR /app
USER 1001:0
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
    CMD ["/app/bin/tagferry", "status", "--live"]

ARG BASE
ARG BASE_DIGEST=unknown
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tagferry" \
      org.opencontainers.image.description="Mirrors image tags from other people's registries into OpenShift image streams." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.base.digest="${BASE_DIGEST}" \
      io.k8s.display-name="Tagferry" \
      io.openshift.expose-services="8080:http"

ENTRYPOINT ["/app/bin/tagferry"]
CMD ["serve"]
