// node sigstore_verify.cjs TRUSTED_ROOT BUNDLE IDENTITY ISSUER [--inclusion-only]: verify a bundle as sigstore-js does.
// --inclusion-only: of the log, see that the entry is in it, and leave out what the entry says.
const { readFileSync } = require("node:fs");
const { bundleFromJSON } = require("@sigstore/bundle");
const { TrustedRoot } = require("@sigstore/protobuf-specs");
const { Verifier, toSignedEntity, toTrustMaterial } = require("@sigstore/verify");
const { verifyTLogInclusion } = require("@sigstore/verify/dist/tlog");

const [root, bundle, subjectAlternativeName, issuer, option] = process.argv.slice(2);
const json = (path) => JSON.parse(readFileSync(path, "utf8"));
const trust = toTrustMaterial(TrustedRoot.fromJSON(json(root)));
const verifier = new Verifier(trust);
if (option === "--inclusion-only") {
  verifier.verifyTLogs = ({ tlogEntries }) => tlogEntries.forEach((entry) => verifyTLogInclusion(entry, trust.tlogs));
}
try {
  const entity = toSignedEntity(bundleFromJSON(json(bundle)));
  const signer = verifier.verify(entity, { subjectAlternativeName, extensions: { issuer } });
  console.log(signer.identity.subjectAlternativeName);
} catch (error) {
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
