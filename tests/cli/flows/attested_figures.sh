# SPDX-License-Identifier: Apache-2.0
# What organ.json says of itself is never enough for --require: a key that is trusted must have said it.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ key generate lab >/dev/null 2>&1
organ key generate other >/dev/null 2>&1
digest=sha256:$(printf held-out | sha256sum | cut -d ' ' -f 1)
echo "{\"evaluations\":[{\"subject\":\"as_transplanted\",\"position\":2,\"protocol\":\"P0\",\"context\":64,\"stride\":64,
  \"tokens\":4096,\"nll\":2.5,\"perplexity\":12.18,\"bits_per_byte\":null,\"dataset\":\"law.txt\",
  \"dataset_digest\":\"$digest\",\"tokenizer_digest\":null}]}" >figures.json
bound=evaluation:nll\<=2.5,protocol=P0

# A folder: the bundle lies beside it, and counts by the key that is given.
expect 2 organ attest organ --type evaluation --key lab.key 2>/dev/null  # organ.json records none
organ attest organ --type evaluation --key lab.key --from figures.json >/dev/null
test -f organ.evaluation.sigstore.json
expect 1 organ attest organ --type evaluation --key lab.key --from figures.json 2>/dev/null  # it is there
organ verify organ --key publisher.pub --key lab.pub --attestation organ.evaluation.sigstore.json --require "$bound" -q
expect 5 organ verify organ --key publisher.pub --key lab.pub --require "$bound" -q >/dev/null
expect 5 organ verify organ --key publisher.pub --attestation organ.evaluation.sigstore.json --require "$bound" -q >/dev/null
expect 5 organ verify organ --key publisher.pub --key lab.pub --attestation organ.evaluation.sigstore.json \
  --require 'evaluation:nll<=2.4' -q >said
grep -o 'nll is 2.5, at most 2.4 is allowed' said

organ inspect organ.evaluation.sigstore.json | grep -qx 'attestation   evaluation'
organ inspect organ.evaluation.sigstore.json --json | grep -q '"kind": "attestation"'

# A version: the log and the referrers have it, and the policy says whose word counts.
organ publish organ >/dev/null
expect 5 organ verify tiny/organ:1.0.0 --require "$bound" -q >/dev/null
organ attest tiny/organ:1.0.0 --attach organ.evaluation.sigstore.json >/dev/null
expect 5 organ verify tiny/organ:1.0.0 --require "$bound" -q >/dev/null  # a stranger's
organ show tiny/organ:1.0.0 | grep -c '^attestation .*not trusted'
organ registry trust lab.pub --pattern '*' >/dev/null 2>&1
organ verify tiny/organ:1.0.0 --require "$bound" -q
organ verify --all --require "$bound" -q
expect 5 organ verify tiny/organ:1.0.0 --require 'evaluation:tokens>=5000' -q >/dev/null
organ show tiny/organ:1.0.0 | grep -c '^attestation .*, trusted'
organ show tiny/organ:1.0.0 --history 2>/dev/null | grep -c 'evaluation, signed by'

# The publisher's own word is not the laboratory's, where that is asked for.
organ attest tiny/organ:1.0.0 --type evaluation --key publisher.key --from figures.json >/dev/null
organ verify tiny/organ:1.0.0 --attester lab.pub --require "$bound" -q
expect 5 organ verify tiny/organ:1.0.0 --attester other.pub --require "$bound" -q >/dev/null

# Whether it fits is what organ check finds.
organ attest tiny/organ:1.0.0 --type compatibility --key publisher.key --recipient model --at 3 >/dev/null
organ show tiny/organ:1.0.0 --json | python3 -c 'import json, sys
record = json.load(sys.stdin)
print(sorted((one["type"], one["trusted"]) for one in record["attestations"]), record["signatures"])
print([one["predicate"]["level"] for one in record["attestations"] if one["type"] == "compatibility"])'
organ verify --all -q

# Mistakes.
for wrong in evaluation: 'evaluation:nll>=2' 'evaluation:nll<=x' 'evaluation:nll<=-1' 'training:nll<=2' \
  'evaluation:nll<=null' 'evaluation:tokens>=null' 'evaluation:nll<=2,nll<=3' 'evaluation:subject=me' 'evaluation:speed<=2'; do
  expect 2 organ verify tiny/organ:1.0.0 --require "$wrong" -q 2>/dev/null
done
expect 2 organ attest tiny/organ:1.0.0 --type other --key lab.key 2>/dev/null
expect 2 organ attest tiny/organ:1.0.0 --type evaluation --from figures.json 2>/dev/null
expect 2 organ attest organ --type evaluation --key lab.key --from figures.json --out organ/inside.json 2>/dev/null
expect 4 organ attest tiny/organ:1.0.0 --attach organ/model.sig 2>/dev/null
expect 2 organ attest tiny/organ:1.0.0 --attach organ.evaluation.sigstore.json --from figures.json 2>/dev/null
expect 2 organ attest organ --type evaluation --key lab.key --from figures.json --at 2 --out x.json 2>/dev/null
test ! -e organ/inside.json

# What it is made of, for other tools: equal each time.
organ show tiny/organ:1.0.0 --bom >one.json
organ show tiny/organ:1.0.0 --bom >two.json
cmp one.json two.json
organ show organ --bom | python3 -c 'import json, sys
bom = json.load(sys.stdin)
print(bom["bomFormat"], bom["specVersion"], bom["metadata"]["component"]["type"], "signature" in bom, "serialNumber" in bom)'
expect 2 organ show tiny/organ:1.0.0 --bom --history 2>/dev/null
