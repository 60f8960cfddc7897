// node sigstore_attach.cjs IMAGE DIGEST BUNDLE: attach a Sigstore bundle as GitHub's attest actions do.
// The token of the registry's user `oidc` is in REGISTRY_TOKEN.
const { readFileSync } = require("node:fs");
const { attachArtifactToImage } = require("@sigstore/oci");

const [imageName, imageDigest, bundle] = process.argv.slice(2);
attachArtifactToImage({
  imageName,
  imageDigest,
  credentials: { username: process.env.REGISTRY_USER ?? "oidc", password: process.env.REGISTRY_TOKEN },
  artifact: readFileSync(bundle),
  mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
  annotations: { "dev.sigstore.bundle.content": "dsse-envelope" },
  fetchOpts: { retry: 0 },
}).then(
  (descriptor) => console.log(descriptor.digest),
  (error) => {
    console.error(error.cause?.message ?? error.message);
    process.exitCode = 1;
  },
);
