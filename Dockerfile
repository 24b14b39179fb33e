# Either can be replaced: by a mirror, a digest, or an image of your own with node (and npm, to build) on its PATH.
ARG BUILD_IMAGE=node:24-slim
# Node and the libraries it links to. No shell and no npm: the service starts no other program, so nobody should.
ARG BASE_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot

FROM ${BUILD_IMAGE} AS manifest
WORKDIR /app
COPY package.json package-lock.json ./

# The build needs none of the programs that packages fetch or make when they are installed, hence --ignore-scripts.
# A registry of your own: docker build --secret id=npmrc,src=$HOME/.npmrc .
FROM manifest AS dependencies
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --omit=dev --ignore-scripts

FROM manifest AS build
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

FROM ${BASE_IMAGE}
WORKDIR /app
# Distroless has node in a folder that is not on its PATH.
ENV NODE_ENV=production PATH=/nodejs/bin:/usr/local/bin:/usr/bin:/bin
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
COPY migrations migrations
COPY --from=build /app/dist dist
# A number, because Kubernetes cannot tell from a name that it is not root.
USER 65532:65532
EXPOSE 50051 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD ["node", "dist/health-check.js"]
# What calls leave to the garbage collector: docs/decisions.md says why, and what it is worth.
ENTRYPOINT ["node", "--max-semi-space-size=8", "--no-allocation-site-pretenuring", "dist/main.js"]
