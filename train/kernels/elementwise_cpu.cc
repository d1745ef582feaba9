// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <vector>

#include <ATen/ops/empty.h>

#include "train/kernels/dispatch.h"
#include "train/kernels/elementwise.h"
#include "train/kernels/internal/composed.h"

namespace organ::train::kernels {
namespace {

// Numbers per task of a flat loop.
constexpr std::int64_t kPiece = 16384;

template <typename Action>
void for_each_piece(std::int64_t count, Action action) {
  at::parallel_for(0, (count + kPiece - 1) / kPiece, 1, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t first = begin * kPiece, last = std::min(count, end * kPiece);
    if (first < last) action(first, last - first);
  });
}

}  // namespace

at::Tensor empty(at::IntArrayRef shape, at::ScalarType type, at::Device device) {
  return at::empty(shape, at::TensorOptions().dtype(type).device(device));
}

at::Tensor convert(const at::Tensor& x, at::ScalarType type) {
  if (x.scalar_type() == type) return x;
  if (!x.is_cpu()) return composed::convert(x, type);
  at::Tensor y = empty(x.sizes(), type);
  with_type(type, [&]<typename To>(To) {
    with_type(x.scalar_type(), [&]<typename From>(From) {
      if constexpr (!std::is_same_v<From, To>) {
        const From* in = pointer<From>(x);
        To* out = pointer<To>(y);
        for_each_piece(x.numel(), [&](std::int64_t first, std::int64_t count) {
          convert_row(in + first, out + first, count);
        });
      }
    });
  });
  return y;
}

at::Tensor add(const at::Tensor& x, const at::Tensor& delta) {
  if (!x.is_cpu()) return composed::add(x, delta);
  at::Tensor y = empty(x.sizes(), at::kFloat);
  with_type(delta.scalar_type(), [&]<typename T>(T) {
    const float* in = floats(x);
    const T* change = pointer<T>(delta);
    float* out = floats(y);
    for_each_piece(x.numel(), [&](std::int64_t first, std::int64_t count) {
      add_row(in + first, change + first, out + first, count);
    });
  });
  return y;
}

at::Tensor look_up(const at::Tensor& table, const at::Tensor& rows) {
  if (!table.is_cpu()) return composed::look_up(table, rows);
  const std::int64_t n = rows.size(0), d = table.size(1);
  const std::int64_t* row = rows.const_data_ptr<std::int64_t>();
  at::Tensor out = empty({n, d}, at::kFloat);
  with_type(table.scalar_type(), [&]<typename T>(T) {
    const T* from = pointer<T>(table);
    float* to = floats(out);
    for_each_row(n, d, [&](std::int64_t i) { convert_row(from + row[i] * d, to + i * d, d); });
  });
  return out;
}

void add_looked_up(at::Tensor& x, const at::Tensor& table, const at::Tensor& rows) {
  if (!x.is_cpu()) return composed::add_looked_up(x, table, rows);
  const std::int64_t n = rows.size(0), d = table.size(1);
  const std::int64_t* row = rows.const_data_ptr<std::int64_t>();
  with_type(table.scalar_type(), [&]<typename T>(T) {
    const T* from = pointer<T>(table);
    float* to = floats(x);
    for_each_row(n, d,
                 [&](std::int64_t i) { add_row(to + i * d, from + row[i] * d, to + i * d, d); });
  });
}

void add_to_rows(const at::Tensor& sum, const at::Tensor& rows, const at::Tensor& x) {
  if (!sum.is_cpu()) return composed::add_to_rows(sum, rows, x);
  sum.index_add_(0, rows, x);
}

at::Tensor gated(Activation kind, const at::Tensor& gate_up) {
  if (!gate_up.is_cpu()) return composed::gated(kind, gate_up);
  const std::int64_t n = gate_up.size(0), f = gate_up.size(1) / 2;
  at::Tensor out = empty({n, f}, gate_up.scalar_type());
  with_type(gate_up.scalar_type(), [&]<typename T>(T) {
    const T* in = pointer<T>(gate_up);
    T* to = pointer<T>(out);
    for_each_row(n, f, [&](std::int64_t i) {
      gated_row(kind, in + 2 * i * f, in + (2 * i + 1) * f, to + i * f, f);
    });
  });
  return out;
}

void gated_backward(Activation kind, at::Tensor& gate_up, const at::Tensor& dout) {
  if (!gate_up.is_cpu()) return composed::gated_backward(kind, gate_up, dout);
  const std::int64_t n = gate_up.size(0), f = gate_up.size(1) / 2;
  with_type(gate_up.scalar_type(), [&]<typename T>(T) {
    T* data = pointer<T>(gate_up);
    const T* gradient = pointer<T>(dout);
    for_each_row(n, f, [&](std::int64_t i) {
      gated_backward_row(kind, data + 2 * i * f, data + (2 * i + 1) * f, gradient + i * f, f);
    });
  });
}

at::Tensor activate(Activation kind, const at::Tensor& x) {
  if (!x.is_cpu()) return composed::activate(kind, x);
  at::Tensor out = empty(x.sizes(), x.scalar_type());
  with_type(x.scalar_type(), [&]<typename T>(T) {
    const T* in = pointer<T>(x);
    T* to = pointer<T>(out);
    for_each_piece(x.numel(), [&](std::int64_t first, std::int64_t count) {
      activate_row(kind, in + first, to + first, count);
    });
  });
  return out;
}

void activate_backward(Activation kind, at::Tensor& x, const at::Tensor& dout) {
  if (!x.is_cpu()) return composed::activate_backward(kind, x, dout);
  with_type(x.scalar_type(), [&]<typename T>(T) {
    T* data = pointer<T>(x);
    const T* gradient = pointer<T>(dout);
    for_each_piece(x.numel(), [&](std::int64_t first, std::int64_t count) {
      activate_backward_row(kind, data + first, gradient + first, count);
    });
  });
}

namespace {

// Where the heads of one (row, position) start in the packed row and in the three head tensors.
struct HeadIndex {
  const HeadLayout& layout;
  std::int64_t row, position;

  HeadIndex(const HeadLayout& heads, std::int64_t token)
      : layout(heads), row(token / heads.length), position(token % heads.length) {}
  std::int64_t packed_query(std::int64_t kv, std::int64_t member) const {
    return (kv * layout.group + member) * layout.head_size;
  }
  std::int64_t packed_key(std::int64_t kv) const {
    return (layout.kv_heads * layout.group + kv) * layout.head_size;
  }
  std::int64_t packed_value(std::int64_t kv) const { return packed_key(layout.kv_heads + kv); }
  std::int64_t key(std::int64_t kv) const {
    return ((row * layout.kv_heads + kv) * layout.length + position) * layout.head_size;
  }
  std::int64_t query(std::int64_t kv, std::int64_t member) const {
    return key(kv) * layout.group + member * layout.head_size;
  }
};

template <typename T>
struct HeadPointers {
  T *query, *key, *value;
  explicit HeadPointers(const Heads& heads)
      : query(pointer<T>(heads.query)),
        key(pointer<T>(heads.key)),
        value(pointer<T>(heads.value)) {}
};

// Turns a head to its position or back, times a factor; without tables only the factor.
struct Rotation {
  const float *cosine = nullptr, *sine = nullptr;  // of the first position
  std::int64_t half;

  Rotation(const at::Tensor& cosines, const at::Tensor& sines, const HeadLayout& layout)
      : cosine(cosines.defined() ? floats(cosines) : nullptr),
        sine(sines.defined() ? floats(sines) : nullptr),
        half(layout.head_size / 2) {}

  template <typename T>
  void turn(const T* in, std::int64_t position, float direction, double factor, T* out,
            std::int64_t head_size) const {
    if (cosine != nullptr) {
      rotate_row(in, cosine + position * half, sine + position * half, direction,
                 static_cast<float>(factor), out, half);
    } else {
      scale_row(in, static_cast<float>(factor), out, head_size);
    }
  }
};

Heads empty_heads(const HeadLayout& layout, at::ScalarType type) {
  const std::int64_t g = layout.groups(), t = layout.length, d = layout.head_size;
  return {empty({g, t * layout.group, d}, type), empty({g, t, d}, type), empty({g, t, d}, type)};
}

}  // namespace

Heads split_heads(const at::Tensor& packed, const HeadLayout& layout, const at::Tensor& cosine,
                  const at::Tensor& sine, double scale) {
  if (!packed.is_cpu()) return composed::split_heads(packed, layout, cosine, sine, scale);
  Heads heads = empty_heads(layout, packed.scalar_type());
  with_type(packed.scalar_type(), [&]<typename T>(T) {
    const T* in = pointer<T>(packed);
    const HeadPointers<T> out(heads);
    const Rotation rotation(cosine, sine, layout);
    const std::int64_t d = layout.head_size;
    for_each_row(layout.rows * layout.length, layout.packed_width(), [&](std::int64_t token) {
      const HeadIndex at(layout, token);
      const T* row = in + token * layout.packed_width();
      for (std::int64_t kv = 0; kv < layout.kv_heads; ++kv) {
        for (std::int64_t m = 0; m < layout.group; ++m) {
          rotation.turn(row + at.packed_query(kv, m), at.position, 1.0f, scale,
                        out.query + at.query(kv, m), d);
        }
        rotation.turn(row + at.packed_key(kv), at.position, 1.0f, 1.0, out.key + at.key(kv), d);
        std::memcpy(out.value + at.key(kv), row + at.packed_value(kv), d * sizeof(T));
      }
    });
  });
  return heads;
}

at::Tensor merge_head_gradients(const Heads& gradient, const HeadLayout& layout,
                                const at::Tensor& cosine, const at::Tensor& sine, double scale) {
  if (!gradient.query.is_cpu())
    return composed::merge_head_gradients(gradient, layout, cosine, sine, scale);
  at::Tensor packed =
      empty({layout.rows * layout.length, layout.packed_width()}, gradient.query.scalar_type());
  with_type(packed.scalar_type(), [&]<typename T>(T) {
    T* out = pointer<T>(packed);
    const HeadPointers<T> in(gradient);
    const Rotation rotation(cosine, sine, layout);
    const std::int64_t d = layout.head_size;
    for_each_row(layout.rows * layout.length, layout.packed_width(), [&](std::int64_t token) {
      const HeadIndex at(layout, token);
      T* row = out + token * layout.packed_width();
      for (std::int64_t kv = 0; kv < layout.kv_heads; ++kv) {
        for (std::int64_t m = 0; m < layout.group; ++m) {
          rotation.turn(in.query + at.query(kv, m), at.position, -1.0f, scale,
                        row + at.packed_query(kv, m), d);
        }
        rotation.turn(in.key + at.key(kv), at.position, -1.0f, 1.0, row + at.packed_key(kv), d);
        std::memcpy(row + at.packed_value(kv), in.value + at.key(kv), d * sizeof(T));
      }
    });
  });
  return packed;
}

}  // namespace organ::train::kernels
