# SPDX-License-Identifier: Apache-2.0
# A certificate signs: it counts by a root that is given and for whom it names, and a time stamp says
# since when. organ fetches nothing: openssl is the authority of both.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_organ
organ key generate signer >/dev/null 2>&1
certify() { # certify NAME SUBJECT EXTENSIONS [ISSUER]: NAME.pem for NAME.key
  printf '%b' "$3" >$1.ext
  openssl req -new -key $1.key -subj "$2" -out $1.csr 2>/dev/null
  if test "${4:-}"; then
    openssl x509 -req -in $1.csr -CA $4.pem -CAkey $4.key -CAcreateserial -days 30 -extfile $1.ext -out $1.pem 2>/dev/null
  else
    openssl x509 -req -in $1.csr -signkey $1.key -days 30 -extfile $1.ext -out $1.pem 2>/dev/null
  fi
}
new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key 2>/dev/null; }
for name in root other tsa; do new_key $name; done
authority='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n'
certify root /O=Acme/CN=Root "$authority"
certify other /O=Other/CN=Root "$authority"
certify signer /O=Acme/CN=Legal 'keyUsage=critical,digitalSignature\nsubjectAltName=email:legal@acme.example\n' root
certify tsa /O=Acme/CN=Clock 'keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n' root

# What makes no sense is refused before anything is written.
expect 2 organ sign organ 2>err
grep -q 'nothing to sign with: no --key' err
expect 2 organ sign organ --key signer.key --chain root.pem 2>err
expect 2 organ sign organ --key signer.key --timestamp-request model.tsq 2>err
expect 2 organ sign organ --key signer.key --certificate other.pem 2>err
grep -q 'holds another key than the private key' err
cat signer.pem root.pem >whole.pem
expect 2 organ sign organ --key signer.key --certificate whole.pem 2>err
grep -q -e '--chain takes those of its issuers' err
expect 2 organ sign organ --key signer.key --certificate . 2>err
expect 2 organ sign organ --key signer.key --certificate signer.pem --chain other.pem 2>err
grep -q 'did not issue the certificate before it' err
expect 2 organ sign organ --key signer.key --certificate signer.pem --timestamp-request organ/model.tsq 2>err
grep -q 'lies inside' err
expect 1 organ sign organ --key signer.key --certificate signer.pem --timestamp-request signer.pem 2>err
grep -q 'already exists' err
test ! -e organ/model.sig
test ! -e organ/model.tsq

organ sign organ --key signer.key --certificate signer.pem --chain root.pem --timestamp-request model.tsq >said
grep -q '^request model.tsq$' said
organ verify organ --ca-roots root.pem --identity email:legal@acme.example >said
grep -q 'established .* are signed by CN=Legal,O=Acme (email:legal@acme.example), certificate sha256:' said
organ --json verify organ --ca-roots root.pem >said
grep -q '"certificates": \[' said
grep -q '"subject": "CN=Legal,O=Acme"' said
organ inspect organ/model.sig >said
grep -q '^certified .*CN=Legal,O=Acme' said

expect 5 organ verify organ >said
grep -q 'signed with a certificate of CN=Legal,O=Acme (email:legal@acme.example), which no key can vouch for' said
expect 5 organ verify organ --key signer.pub >said
expect 5 organ verify organ --ca-roots other.pem >said
expect 5 organ verify organ --ca-roots root.pem --identity email:other@acme.example >said
grep -q "expected 'email:other@acme.example'" said
expect 2 organ verify organ --identity email:legal@acme.example 2>err
expect 2 organ verify organ --ca-roots signer.key 2>err
expect 2 organ verify organ --ca-roots root.pem --identity '' 2>err
grep -q -e '--identity: expected a subject or name, got none' err
expect 2 organ verify organ --ca-roots root.pem --tsa-roots '' 2>err
expect 2 organ verify organ --ca-roots '' 2>err
expect 2 organ verify organ --ca-roots . 2>err

# The authority answers; its response goes into the signature that is there.
printf '01\n' >serial
printf '[t]\nserial=serial\ndefault_policy=1.2.3.4\ndigests=sha256\nsigner_digest=sha256\ness_cert_id_alg=sha256\n' >tsa.cnf
openssl ts -reply -config tsa.cnf -section t -queryfile model.tsq -signer tsa.pem -inkey tsa.key -out model.tsr 2>/dev/null
cp organ/model.sig before
expect 2 organ sign organ --timestamp . 2>err
expect 2 organ sign organ --timestamp model.tsr --require-finite 2>err
cmp before organ/model.sig
organ sign organ --timestamp model.tsr >said
grep -q '^stamped organ/model.sig$' said
expect 2 organ sign organ --timestamp model.tsr 2>err
grep -q 'has this time stamp already' err
organ verify organ --ca-roots root.pem --tsa-roots root.pem >said
grep -q ', not after 20.*, as CN=Clock,O=Acme stamped' said
organ verify organ --ca-roots root.pem >said
organ verify organ --ca-roots root.pem --tsa-roots other.pem >said
grep -q 'warning .*time stamp 0: certificate verify error' said

# Of another signature it is none.
organ sign organ --key signer.key --certificate signer.pem --chain root.pem --replace >/dev/null
expect 2 organ sign organ --timestamp model.tsr 2>err
flip organ/layer.00.safetensors 5000
expect 4 organ verify organ --ca-roots root.pem >said

# No rule of a registry takes a certificate's word: a key must sign too. What the log says of it names whom it certifies.
make_organ_of() { organ extract model --layers 2:5 --name tiny/organ --organ-version 1.0.0 --out $1 >/dev/null 2>&1; }
make_organ_of certified
organ sign certified --key signer.key --certificate signer.pem --chain root.pem >/dev/null
organ key generate publisher >/dev/null 2>&1
organ registry init --key publisher.pub --key signer.pub >/dev/null 2>&1
expect 5 organ publish certified tiny/organ:1.0.0 2>err
organ publish certified tiny/organ:1.0.0 --key publisher.key >/dev/null 2>&1
organ show tiny/organ:1.0.0 --history >said 2>/dev/null
grep -qx '        signed by a certificate of CN=Legal,O=Acme (email:legal@acme.example), not verified' said
organ --json show tiny/organ:1.0.0 --history >said 2>/dev/null
grep -q '"certificate": "CN=Legal,O=Acme (email:legal@acme.example)"' said
organ inspect certified >said
grep -q '^signed by .*CN=Legal,O=Acme (email:legal@acme.example) (not checked)$' said
organ --json inspect certified/model.sig >said
grep -q '"subject": "CN=Legal,O=Acme"' said
