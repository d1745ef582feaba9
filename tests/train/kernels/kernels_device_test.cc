// SPDX-License-Identifier: Apache-2.0
// Every kernel off the CPU against its hand-written twin on it.
#include "tests/train/support/doctest.h"

#include <functional>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "tests/support/test_device.h"
#include "tests/train/support/fixture.h"
#include "train/kernels/attention.h"
#include "train/kernels/cross_entropy.h"
#include "train/kernels/elementwise.h"
#include "train/kernels/experts.h"
#include "train/kernels/product.h"

namespace organ::test {
namespace {

using namespace train;
using Tensors = std::vector<at::Tensor>;
// Runs one kernel over tensors that are all on one device; gives what it computed.
using Kernel = std::function<Tensors(Tensors)>;

const std::vector<at::ScalarType> kTypes = {at::kFloat, at::kBFloat16};

at::Tensor random(at::IntArrayRef shape, at::ScalarType type = at::kFloat) {
  static const at::Generator generator = at::detail::createCPUGenerator(7);
  return at::randn(shape, generator).to(type);
}

// Of the same numbers: bf16 within one rounding of the largest, and on the whole within the step
// between two bf16 numbers (what is rounded several times on either side); fp32 within `limit` of
// it, which is its own rounding unless it sums up rounded numbers.
void compare(const Tensors& inputs, const Kernel& kernel, double limit = 2e-6) {
  Tensors host, device;
  for (const at::Tensor& input : inputs) {
    host.push_back(input.defined() ? input.clone() : input);
    device.push_back(input.defined() ? input.to(test_device(), input.scalar_type(), false, true)
                                     : input);
  }
  const Tensors expected = kernel(host), results = kernel(device);
  REQUIRE(expected.size() == results.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    REQUIRE(results[i].defined() == expected[i].defined());
    if (!expected[i].defined()) continue;
    CHECK((results[i].device() == test_device()));
    CHECK((results[i].scalar_type() == expected[i].scalar_type()));
    CHECK((results[i].sizes() == expected[i].sizes()));
    CHECK(results[i].is_contiguous());
    const bool exact = expected[i].scalar_type() != at::kBFloat16;
    const at::Tensor ours = results[i].cpu().to(at::kFloat), theirs = expected[i].to(at::kFloat);
    CHECK(relative_error(ours, theirs) < (exact ? limit : 1.0 / 128));
    CHECK((ours - theirs).norm().item<double>() <=
          (exact ? limit : 1.0 / 256) * theirs.norm().item<double>());
  }
}

// action(type) in both working types.
void in_both(const std::function<void(at::ScalarType)>& action) {
  for (const at::ScalarType type : kTypes) {
    const std::string name = c10::toString(type);
    CAPTURE(name);
    action(type);
  }
}

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
      compare(inputs, [&](Tensors t) {
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

namespace {

struct AttentionCase {
  const char* name;
  std::int64_t window;
  bool documents, ends, sinks, bias = false;
};

const std::vector<AttentionCase> kAttentionCases = {
    {"causal", 0, false, false, false},   {"window", 7, false, false, false},
    {"documents", 0, true, false, false}, {"bidirectional", 0, false, true, false},
    {"sinks", 0, false, false, true},     {"window, documents, sinks", 5, true, false, true},
    {"bias", 0, true, false, false, true}};

// int32 [2 * 300]: the row's second document begins at 130; the ends of the two.
at::Tensor document_bound(bool end) {
  const at::Tensor bound = at::full({2, 300}, end ? 300 : 0, at::kInt);
  if (end) {
    bound.narrow(1, 0, 130).fill_(130);
  } else {
    bound.narrow(1, 130, 170).fill_(130);
  }
  return bound.flatten();
}

}  // namespace

TEST_CASE("attention and its gradients") {
  const kernels::HeadLayout layout{2, 300, 2, 3, 8};
  const at::Tensor none;
  in_both([&](auto type) {
    for (const AttentionCase& c : kAttentionCases) {
      for (const bool keep : {true, false}) {
        const std::string name = c.name;
        CAPTURE(name);
        const at::Tensor first = c.documents || c.ends ? document_bound(false) : none;
        const VisibleKeys spans(first, c.ends ? document_bound(true) : none, layout, c.window);
        const double shrink = 0.5;  // scores of the size that a model has
        compare(
            {random({4, 900, 8}, type) * shrink, random({4, 300, 8}, type),
             random({4, 300, 8}, type), c.sinks ? random({6}) : none, random({600, 48}, type),
             c.sinks ? random({6}) : none, c.bias ? random({6, 609}) : none},
            [&](Tensors t) {
              AttentionTape tape;
              tape.heads = {t[0], t[1], t[2]};
              tape.sinks = t[3];
              tape.position_bias = t[6];
              const at::Tensor out = attention(tape, layout, spans, keep);
              const kernels::Heads d = attention_backward(t[4], tape, layout, spans, t[5]);
              return Tensors{out, d.query, d.key, d.value, tape.sink_share, t[5]};
            },
            type == at::kFloat ? 2e-6 : 1e-4);
      }
    }
  });
}

TEST_CASE("attention of one position after others") {
  const kernels::HeadLayout layout{1, 1, 2, 3, 8, 20};
  const VisibleKeys spans({}, {}, layout, 6);
  compare({random({2, 3, 8}), random({2, 21, 8}), random({2, 21, 8})}, [&](Tensors t) {
    AttentionTape tape;
    tape.heads = {t[0], t[1], t[2]};
    return Tensors{attention(tape, layout, spans, false)};
  });
}

TEST_CASE("attention to another sequence") {
  const kernels::HeadLayout layout{2, 9, 2, 3, 8, 0, 21};
  const at::Tensor end = at::arange(18, at::kInt).add_(3);
  const VisibleKeys spans({}, end, layout, 0);
  compare({random({4, 27, 8}), random({4, 21, 8}), random({4, 21, 8}), random({18, 48})},
          [&](Tensors t) {
            AttentionTape tape;
            tape.heads = {t[0], t[1], t[2]};
            const at::Tensor out = attention(tape, layout, spans, true);
            const kernels::Heads d = attention_backward(t[3], tape, layout, spans, {});
            return Tensors{out, d.query, d.key, d.value};
          });
}

}  // namespace organ::test
