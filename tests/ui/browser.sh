#!/usr/bin/env bash
# What tests/ui need besides Python's packages: a Chromium and its driver. As root on Debian or Ubuntu.
set -euo pipefail
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core
