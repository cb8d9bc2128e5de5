# syntax=docker/dockerfile:1
# The command `sluice` in a small image, with AWS's clients for S3 and IAM: docs/container.md.

FROM node:24-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build && npm pack --ignore-scripts
# What the package holds, and what it needs to run, in the versions of the lock file.
RUN mkdir image && tar -xzf sluice-*.tgz -C image --strip-components=1 && cp package-lock.json .npmrc image/
RUN cd image && npm ci --omit=dev --ignore-scripts
# As what is optional, or for development, npm would leave them out.
RUN cd image && npm pkg delete devDependencies peerDependencies peerDependenciesMeta && npm install --omit=dev --ignore-scripts \
    "@aws-sdk/client-s3@$(node -p "require('./package-lock.json').packages['node_modules/@aws-sdk/client-s3'].version")" \
    "@aws-sdk/rds-signer@$(node -p "require('./package-lock.json').packages['node_modules/@aws-sdk/rds-signer'].version")"

FROM node:24-alpine
ENV NODE_ENV=production SLUICE_HEALTH_PORT=8080
COPY --from=build /build/image /opt/sluice
WORKDIR /work
RUN chown node:node /work
USER node
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.SLUICE_HEALTH_PORT}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/opt/sluice/dist/hosts/cli/main.js"]
CMD ["--help"]
