# SPDX-License-Identifier: Apache-2.0
# A rate that is less than one is no zero.
cp "$(command -v organ)" organ
for rates in '123.4 0.37' '9.96 1.04' '1234.5 0.0042'; do
  set -- $rates
  cat >organ-train <<END
#!/bin/sh
echo '{"library": "LibTorch", "threads": 2, "gemm_fp32_gflops": $1, "gemm_bf16_gflops": $2, "cuda": {"usable": false, "reason": "none"}}'
END
  chmod +x organ-train
  ./organ doctor | grep GFLOP
done
