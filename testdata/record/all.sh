#!/bin/bash
# Records everything again, in the order that works, and checks the result.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
./radius.sh
./seized.sh
./sinkhole.sh
./make-bad.sh
python3 scenario.py truth ..
python3 check-truth.py
