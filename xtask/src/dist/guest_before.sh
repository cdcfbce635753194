# Before the README's commands: what a person would have.
set -e -o pipefail
sudo() { "$@"; }
# `set -e` does not count `refuse command`.
refuse() { if "$@"; then echo "this should fail: $*"; exit 1; fi; }
export DEBIAN_FRONTEND=noninteractive HOME=/root
cd /repository
refuse command -v flowsift
