// SPDX-License-Identifier: Apache-2.0
// Every kernel off the CPU against its hand-written twin on it.
#include <vector>

#include <ATen/ATen.h>

#include "tests/support/test_device.h"
#include "tests/train/support/kernel_checks.h"
#include "train/kernels/cross_entropy.h"
#include "train/kernels/elementwise.h"
#include "train/kernels/experts.h"
#include "train/kernels/product.h"

namespace organ::test {
namespace {

using namespace train;

constexpr std::int64_t kRows = 37, kWidth = 83;

}  // namespace

TEST_CASE("conversions and sums") {
  in_both([](auto type) {
    const auto other = type == at::kFloat ? at::kBFloat16 : at::kFloat;
    compare({random({kRows, kWidth}, type)},
            [&](Tensors t) { return Tensors{kernels::convert(t[0], other)}; });
    compare({random({kRows, kWidth}), random({kRows, kWidth}, type)},
            [](Tensors t) { return Tensors{kernels::add(t[0], t[1])}; });
  });
}

TEST_CASE("looking up rows") {
  const at::Tensor rows = at::arange(kRows, at::kLong).mul_(5).remainder_(11);
  in_both([&](auto type) {
    compare({random({11, kWidth}, type), random({kRows, kWidth})}, [&](Tensors t) {
      const at::Tensor found = kernels::look_up(t[0], rows);
      kernels::add_looked_up(t[1], t[0], rows);
      return Tensors{found, t[1]};
    });
  });
  compare({random({11, kWidth}), random({kRows, kWidth})}, [&](Tensors t) {
    kernels::add_to_rows(t[0], rows, t[1]);
    return Tensors{t[0]};
  });
}

TEST_CASE("norms, their gradients and their outputs again") {
  using Forward = std::function<kernels::Norm(const Tensors&, at::ScalarType, bool)>;
  const std::vector<Forward> forwards = {
      [](const Tensors& t, auto type, bool keep) {
        return kernels::rms_norm(t[0], t[1], 1e-5, type, keep);
      },
      [](const Tensors& t, auto type, bool keep) {
        return kernels::late_rms_norm(t[0], t[1], 1e-5, type, keep);
      },
      [](const Tensors& t, auto type, bool keep) {
        return kernels::layer_norm(t[0], t[1], t[2], 1e-5, type, keep);
      }};
  in_both([&](auto type) {
    for (std::size_t kind = 0; kind < forwards.size(); ++kind) {
      CAPTURE(kind);
      const Tensors inputs = {random({kRows, kWidth}), random({kWidth}), random({kWidth}),
                              random({kRows, kWidth}, type)};
      compare(inputs, [&](const Tensors& t) {
        const kernels::Norm norm = forwards[kind](t, type, true);
        return Tensors{norm.out, norm.unit, norm.rstd, forwards[kind](t, type, false).unit};
      });
      // From one unit: where two differ by a rounding, so do their gradients.
      const kernels::Norm norm = forwards[kind](inputs, type, true);
      compare({inputs[3], norm.unit, norm.rstd, inputs[1], inputs[0], inputs[2]}, [&](Tensors t) {
        const kernels::Norm kept{{}, t[1], t[2]};
        const auto backward = kind == 2 ? kernels::layer_norm_backward : kernels::rms_norm_backward;
        return Tensors{backward(t[0], kept, t[3], t[4]), backward(t[0], kept, t[3], {}),
                       kernels::norm_output(t[1], t[3], kind == 2 ? t[5] : at::Tensor())};
      });
    }
  });
}

TEST_CASE("norms of heads, in place") {
  const kernels::HeadRange range{16, 3, 8};
  in_both([&](auto type) {
    compare({random({kRows, 50}, type), random({8})}, [&](Tensors t) {
      const kernels::HeadNorm norm = kernels::head_norm(t[0], range, t[1], 1e-6);
      return Tensors{t[0], norm.unit, norm.rstd};
    });
    at::Tensor packed = random({kRows, 50}, type);
    const kernels::HeadNorm norm = kernels::head_norm(packed, range, random({8}), 1e-6);
    compare({random({kRows, 50}, type), norm.unit, norm.rstd, random({8}), random({8})},
            [&](Tensors t) {
              kernels::head_norm_backward(t[0], range, {t[1], t[2]}, t[3], t[4]);
              return Tensors{t[0], t[4]};
            });
  });
}

TEST_CASE("sums over rows") {
  in_both([](auto type) {
    compare({random({kRows, kWidth}, type), random({kRows, kWidth}, type), random({kWidth})},
            [](Tensors t) {
              kernels::accumulate_products(t[0], t[1], t[2]);
              kernels::accumulate_rows(t[0], t[2]);
              return Tensors{t[2]};
            });
  });
}

TEST_CASE("activations and their gradients") {
  using kernels::Activation;
  in_both([](auto type) {
    for (const auto kind :
         {Activation::silu, Activation::gelu, Activation::gelu_tanh, Activation::relu}) {
      CAPTURE(static_cast<int>(kind));
      compare({random({kRows, kWidth}, type) * 3, random({kRows, kWidth}, type)}, [&](Tensors t) {
        const at::Tensor out = kernels::activate(kind, t[0]);
        kernels::activate_backward(kind, t[0], t[1]);
        return Tensors{out, t[0]};
      });
      compare({random({kRows, 2 * kWidth}, type), random({kRows, kWidth}, type)}, [&](Tensors t) {
        const at::Tensor out = kernels::gated(kind, t[0]);
        kernels::gated_backward(kind, t[0], t[1]);
        return Tensors{out, t[0]};
      });
    }
    compare({random({kRows, 2 * kWidth}, type) * 4, random({kRows, kWidth}, type)}, [](Tensors t) {
      const kernels::ClampedSwiglu form{3.0, 1.702};
      const at::Tensor out = kernels::clamped_swiglu(t[0], form);
      kernels::clamped_swiglu_backward(t[0], t[1], form);
      return Tensors{out, t[0]};
    });
  });
}

TEST_CASE("heads split and merged, with and without rotations") {
  const kernels::HeadLayout layout{2, 9, 3, 2, 8};
  in_both([&](auto type) {
    const at::Tensor angles = random({9, 4});
    for (const bool rotates : {true, false}) {
      CAPTURE(rotates);
      const at::Tensor none;
      compare({random({18, layout.packed_width()}, type), rotates ? angles.cos() : none,
               rotates ? angles.sin() : none},
              [&](Tensors t) {
                const kernels::Heads heads = kernels::split_heads(t[0], layout, t[1], t[2], 0.3);
                return Tensors{heads.query, heads.key, heads.value,
                               kernels::merge_head_gradients(heads, layout, t[1], t[2], 0.3)};
              });
    }
  });
}

TEST_CASE("cross-entropy in stretches and its gradient") {
  const at::Tensor targets = at::arange(kRows, at::kLong).mul_(7).remainder_(kWidth);
  in_both([&](auto type) {
    const at::Tensor projection = random({kWidth, 24}, type);
    for (const bool gradient : {true, false}) {
      compare({random({kRows, 50}, type) * 5, random({kRows, kWidth - 50}, type) * 5, targets,
               projection, random({kRows, 24}, type), random({kRows, 24}, type)},
              [&](Tensors t) {
                const kernels::SoftmaxSums sums = kernels::empty_sums(kRows, t[0].device());
                const at::Tensor first = kernels::add_logits(sums, t[0], t[2], 0, gradient);
                const at::Tensor second = kernels::add_logits(sums, t[1], t[2], 50, gradient);
                at::Tensor total = at::zeros({kRows, 24}, t[0].options().dtype(at::kFloat));
                kernels::rescale_and_add(total, first, t[4]);
                kernels::rescale_and_add(total, second, t[5]);
                kernels::finish_gradient(sums, total, t[3], t[2]);
                return Tensors{t[0],     t[1],     second,     total,
                               sums.top, sums.sum, sums.score, kernels::losses(sums)};
              });
    }
  });
}

TEST_CASE("rows of experts") {
  const std::vector<std::int32_t> rows = {0, 3, 4, 11, 36};
  const std::vector<float> weights = {0.3f, 1.0f, -2.0f, 0.01f, 0.7f};
  in_both([&](auto type) {
    compare({random({kRows, kWidth}, type), random({kRows, kWidth}), random({5, kWidth}, type),
             random({5, kWidth}, type), random({kWidth})},
            [&](Tensors t) {
              const at::Tensor gathered = kernels::gather_rows(t[0], rows);
              kernels::scatter_add_rows(t[1], rows, t[2], weights);
              kernels::scatter_add_rows(t[1], rows, t[3], {});
              std::vector<float> dots(5, 1.0f);
              kernels::add_row_dots(t[2], t[3], dots);
              kernels::add_row_dots(t[2], t[4], dots);
              kernels::scale_rows(t[2], weights);
              const at::Tensor sums = at::tensor(dots).to(t[0].device());
              return Tensors{gathered, t[1], sums, t[2]};
            });
    const at::Tensor logits = random({kRows, 8}, type);
    const auto expected = kernels::route(logits, 3);
    const auto routing = kernels::route(logits.to(test_device()), 3);
    CHECK(routing.first == expected.first);
    CHECK(routing.token == expected.token);
    CHECK(routing.weight == expected.weight);
  });
}

TEST_CASE("products, transposed and with a bias") {
  in_both([](auto type) {
    compare({random({kRows, 24}, type), random({kWidth, 24}, type), random({kWidth}, type)},
            [](Tensors t) {
              const at::Tensor plain = kernels::product(t[0], t[1].t());
              const at::Tensor batched = kernels::batched_product(
                  t[0].view({1, kRows, 24}), t[1].view({1, kWidth, 24}).transpose(1, 2));
              return Tensors{plain, batched, kernels::product(t[0], t[1].t(), t[2]),
                             kernels::product(plain.t(), t[0])};
            });
  });
}

}  // namespace organ::test
