// SPDX-License-Identifier: Apache-2.0
// Whether an organ fits a recipient of which only config.json is known: the verdict of `organ check`,
// by its own tables (families, rules), which organ writes beside this. What only the weights can say
// (element types, T5's table, layers whose maths organ does not know) is left to it and named.
"use strict";

const organFits = (() => {
  // A config.json that organ check calls corrupt.
  class Corrupt extends Error {}
  // One whose layers organ does not know the maths of.
  class Unknown extends Error {}

  const isNull = (object, key) => key === "" || object[key] === undefined || object[key] === null;
  const has = (object, key) => object[key] !== undefined;
  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

  function typed(object, key, type, what) {
    if (typeof object[key] !== type) throw new Corrupt(`'${key}' is no ${what}`);
    return object[key];
  }
  const text = (object, key) => typed(object, key, "string", "text");
  const textOr = (object, key, absent) => (isNull(object, key) ? absent : text(object, key));
  const flagOr = (object, key, absent) =>
    isNull(object, key) ? absent : typed(object, key, "boolean", "true or false");

  function unsigned(object, key, most) {
    const value = typed(object, key, "number", "number");
    if (!Number.isInteger(value) || value < 0 || value > most) {
      throw new Corrupt(`'${key}' is ${value}, expected an integer from 0 to ${most}`);
    }
    return value;
  }
  function size(object, key, most) {
    const value = unsigned(object, key, most);
    if (value === 0) throw new Corrupt(`'${key}' is 0, expected at least 1`);
    return value;
  }
  const sizeOr = (object, key, most, absent) => (isNull(object, key) ? absent : size(object, key, most));

  function positive(object, key) {
    const value = typed(object, key, "number", "number");
    if (!Number.isFinite(value) || value <= 0) throw new Corrupt(`'${key}' is ${value}, expected more than 0`);
    return value;
  }
  const positiveOr = (object, key, absent) => (isNull(object, key) ? absent : positive(object, key));
  const givenOr = (object, key, absent) =>
    isNull(object, key) || object[key] === 0 ? absent : positive(object, key);

  const refuse = (key, value) => {
    throw new Unknown(`'${key}' ${JSON.stringify(value)} is not supported`);
  };

  // ---- keys --------------------------------------------------------------------------------------

  function resolveAliases(config, family) {
    const resolved = { ...config };
    for (const [name, key] of family.aliases) {
      if (isNull(resolved, name)) continue;
      resolved[key] = resolved[name];
      delete resolved[name];
    }
    return resolved;
  }

  function isHarmless(value, wanted) {
    switch (wanted) {
      case "null": return value === null;
      case "no": return value === null || value === false;
      case "yes": return value === null || value === true;
      case "yes_alone": return value === true;
      case "zero": return value === null || value === 0;
      case "one": return value === null || value === 1;
      case "empty": return value === null || (typeof value === "object" && Object.keys(value).length === 0);
      default: return false;
    }
  }

  function refuseUnsupported(config, family, tables) {
    if (!isNull(config, "auto_map")) {
      if (!isObject(config.auto_map)) throw new Corrupt("'auto_map' is no object");
      const others = ["AutoTokenizer", "AutoProcessor", "AutoImageProcessor"];
      if (Object.keys(config.auto_map).some((name) => !others.includes(name))) refuse("auto_map", "code");
    }
    for (const [key, value] of tables.harmless) {
      if (family.handled.includes(key) || !has(config, key)) continue;
      const otherWay = key === "is_causal" && family.sight === "bidirectional";
      if (!isHarmless(config[key], otherWay ? "no" : value)) refuse(key, config[key]);
    }
    if (family.position === "rope") return;
    if (flagOr(config, "is_decoder", false)) refuse("is_decoder", true);
    const positions = textOr(config, "position_embedding_type", "absolute");
    if (positions !== "absolute") refuse("position_embedding_type", positions);
  }

  // ---- one layer ---------------------------------------------------------------------------------

  function readHeads(config, family, limits, spec) {
    spec.heads = size(config, family.keys.heads, limits.width);
    const byHeads = family.defaults.kv_heads === 0 || has(config, family.keys.kv_heads);
    spec.kv_heads = sizeOr(config, family.keys.kv_heads, limits.width,
      byHeads ? spec.heads : family.defaults.kv_heads);
    if (spec.heads % spec.kv_heads !== 0) throw new Corrupt("heads do not divide into key-value heads");
    spec.head_dim = sizeOr(config, family.keys.head_dim, limits.width, family.defaults.head_dim);
    if (spec.head_dim === 0) {
      if (spec.hidden % spec.heads !== 0) throw new Corrupt("the hidden size does not divide into heads");
      spec.head_dim = spec.hidden / spec.heads;
    }
    if (spec.heads * spec.head_dim > limits.inner) throw new Corrupt("the heads are too wide");
  }

  function readActivation(config, family) {
    let name = textOr(config, family.keys.activation, family.defaults.activation);
    if (family.mlp === "" && !isNull(config, "dense_act_fn")) name = text(config, "dense_act_fn");
    if (family.mlp === "experts") {
      return name === "silu" ? "clamped_swiglu" : refuse(family.keys.activation, name);
    }
    if (family.mlp === "") {
      if (name === "gated-gelu") return "gelu_tanh";
      if (name.startsWith("gated-")) name = name.slice(6);
    }
    const known = { silu: "silu", swish: "silu", gelu: "gelu", gelu_new: "gelu_tanh",
      gelu_pytorch_tanh: "gelu_tanh", relu: "relu" };
    return Object.hasOwn(known, name) ? known[name] : refuse(family.keys.activation, name);
  }

  function readMlp(config, family) {
    if (family.mlp !== "") return family.mlp;
    const gated = textOr(config, family.keys.activation, "").startsWith("gated-");
    return flagOr(config, "is_gated_act", gated) ? "gated" : "plain";
  }

  function readMxfp4(config) {
    if (isNull(config, "quantization_config")) return false;
    const quantization = config.quantization_config;
    if (!isObject(quantization)) throw new Corrupt("'quantization_config' is no object");
    if (textOr(quantization, "quant_method", "") !== "mxfp4") refuse("quantization_config", "not mxfp4");
    for (const [key, value] of Object.entries(quantization)) {
      if (key === "quant_method" || key === "modules_to_not_convert" || value === null) continue;
      if (key !== "dequantize" || value !== false) refuse(key, value);
    }
    const kept = quantization.modules_to_not_convert;
    if (kept === undefined || kept === null) return true;
    if (!Array.isArray(kept) || kept.some((one) => typeof one !== "string")) {
      throw new Corrupt("'modules_to_not_convert' is no list of texts");
    }
    if (kept.some((one) => one.includes("experts") || one.endsWith(".mlp"))) {
      refuse("modules_to_not_convert", "experts");
    }
    return true;
  }

  function readExperts(config, spec) {
    const most = 65536;
    const experts = { count: sizeOr(config, "num_local_experts", most, 128),
      per_token: sizeOr(config, "num_experts_per_tok", most, 4) };
    if (sizeOr(config, "experts_per_token", most, experts.per_token) !== experts.per_token) {
      throw new Corrupt("'experts_per_token' contradicts 'num_experts_per_tok'");
    }
    if (experts.per_token > experts.count) throw new Corrupt("more experts per token than there are");
    experts.swiglu_limit = positiveOr(config, "swiglu_limit", 7.0);
    experts.swiglu_alpha = positiveOr(config, "swiglu_alpha", 1.702);
    experts.mxfp4 = readMxfp4(config);
    if (experts.mxfp4 && (spec.hidden % 32 !== 0 || spec.inner % 32 !== 0)) {
      throw new Corrupt("sizes are not made of blocks of 32");
    }
    return experts;
  }

  function readSpec(config, family, limits, maxPositions) {
    const spec = { hidden: size(config, family.keys.hidden_size, limits.width) };
    spec.inner = family.derived_inner
      ? sizeOr(config, family.keys.intermediate_size, limits.inner, 4 * spec.hidden)
      : size(config, family.keys.intermediate_size, limits.inner);
    readHeads(config, family, limits, spec);
    spec.epsilon = positiveOr(config, family.keys.norm_epsilon, family.defaults.epsilon);
    if (spec.epsilon >= 1) throw new Corrupt(`'${family.keys.norm_epsilon}' is not below 1`);
    spec.activation = readActivation(config, family);
    spec.mlp = readMlp(config, family);
    spec.bias = family.attention_bias !== "by_config" ? family.attention_bias
      : flagOr(config, "attention_bias", family.defaults.attention_bias) ? "qkvo" : "none";
    spec.mlp_bias = family.mlp_bias_by_config ? flagOr(config, "mlp_bias", false) : family.mlp_bias;
    spec.scale = family.attention_scale;
    spec.by_index = false;
    if (family.scale_by_config) {
      if (!flagOr(config, "scale_attn_weights", true) && spec.head_dim !== 1) spec.scale = 1;
      spec.by_index = flagOr(config, "scale_attn_by_inverse_layer_idx", false);
    }
    if (family.position === "rope") Object.assign(spec, organRope.read(config, family, limits, maxPositions, spec));
    if (family.position === "relative") {
      spec.buckets = sizeOr(config, "relative_attention_num_buckets", limits.width, 32);
      spec.distance = sizeOr(config, "relative_attention_max_distance", limits.positions, 128);
      if (spec.buckets < 4 || spec.distance <= Math.floor(spec.buckets / 2)) {
        throw new Corrupt("the buckets do not spread over the distances");
      }
    }
    spec.experts = family.mlp === "experts" ? readExperts(config, spec) : { count: 0, mxfp4: false };
    return spec;
  }

  // ---- what each layer sees ------------------------------------------------------------------------

  function readWindow(config, family, limits) {
    const given = has(config, "sliding_window");
    if (family.window === "alternating") {
      return given ? size(config, "sliding_window", limits.positions) : family.defaults.window;
    }
    const on = family.window === "every_layer" ||
      (family.window === "from_layer" && flagOr(config, "use_sliding_window", false));
    if (!on) return 0;
    return given ? sizeOr(config, "sliding_window", limits.positions, 0) : family.defaults.window;
  }

  function derivedTypes(config, family, layers, window) {
    let first = layers;
    if (window !== 0 && family.window === "every_layer") first = 0;
    if (window !== 0 && family.window === "from_layer") {
      first = isNull(config, "max_window_layers") ? 28
        : unsigned(config, "max_window_layers", Number.MAX_SAFE_INTEGER);
    }
    const slides = (i) => (family.window === "alternating" ? i % 2 === 0 : i >= first);
    return Array.from({ length: layers }, (_, i) => (slides(i) ? "sliding" : family.sight));
  }

  function readTypes(config, family, layers, window) {
    const types = derivedTypes(config, family, layers, window);
    if (isNull(config, "layer_types")) return types;
    const given = config.layer_types;
    if (!Array.isArray(given) || given.length !== layers || given.some((one) => typeof one !== "string")) {
      throw new Corrupt("'layer_types' has not one text for each layer");
    }
    return types.map((derived, i) => {
      const sliding = given[i] === "sliding_attention";
      if (!sliding && given[i] !== "full_attention") refuse("layer_types", given[i]);
      if (sliding && window === 0) throw new Corrupt("a layer slides and no window is switched on");
      const type = sliding ? "sliding" : "full";
      const listed = family.window === "from_layer" || family.window === "alternating";
      if (!listed && derived !== type) refuse("layer_types", given[i]);
      return type;
    });
  }

  // ---- a model -------------------------------------------------------------------------------------

  function findFamily(tables, modelType, stack) {
    const found = tables.families.find((family) => family.model_type === modelType &&
      (stack === "" || family.stack === stack));
    if (!found) throw new Unknown(`the family '${modelType}' is not known, or has no such stack`);
    return found;
  }

  // What config.json says of the layers. Throws Corrupt and Unknown.
  function readModel(config, tables, stack) {
    if (!isObject(config)) throw new Corrupt("it is no object");
    const family = findFamily(tables, text(config, "model_type"), stack);
    const resolved = resolveAliases(config, family), limits = tables.limits;
    refuseUnsupported(resolved, family, tables);
    const { layer_count: key, other_layer_count: other } = family.keys;
    const layers = other === "" || !isNull(resolved, key) ? size(resolved, key, limits.layers)
      : sizeOr(config, other, limits.layers, family.defaults.layer_count);
    size(resolved, "vocab_size", limits.vocabulary);
    const maxPositions = sizeOr(resolved, family.keys.max_positions, limits.positions,
      family.defaults.max_positions);
    flagOr(resolved, "tie_word_embeddings", false);
    const spec = readSpec(resolved, family, limits, maxPositions);
    const window = readWindow(resolved, family, limits);
    return { family, layers, spec, window, types: readTypes(resolved, family, layers, window) };
  }

  function tensorShapes({ family, spec }) {
    const sizes = { hidden: spec.hidden, inner: spec.inner, queries: spec.heads * spec.head_dim,
      keys: spec.kv_heads * spec.head_dim, fused: (spec.heads + 2 * spec.kv_heads) * spec.head_dim,
      head: spec.head_dim, heads: spec.heads, experts: spec.experts.count, gate_up: 2 * spec.inner,
      hidden_blocks: Math.floor(spec.hidden / 32), inner_blocks: Math.floor(spec.inner / 32), block: 16 };
    const there = { always: true, qkv_bias: spec.bias !== "none", output_bias: spec.bias === "qkvo",
      mlp_bias: spec.mlp_bias, gated: spec.mlp === "gated", plain: spec.mlp === "plain",
      mxfp4: spec.experts.mxfp4, not_mxfp4: !spec.experts.mxfp4 };
    const shapes = {};
    for (const [name, shape, when] of family.tensors) {
      if (there[when]) shapes[name] = shape.map((word) => sizes[word]);
    }
    return shapes;
  }

  const defaultScale = (spec) => 1 / Math.sqrt(spec.head_dim);
  function scaleOf(spec, layer) {
    const scale = spec.scale !== 0 ? spec.scale : defaultScale(spec);
    return spec.by_index ? scale / (layer + 1) : scale;
  }

  function addScales(spec, first, count, fields) {
    if (spec.by_index && count > 1) {
      fields.attention_scales = Array.from({ length: count }, (_, i) => scaleOf(spec, first + i));
      return;
    }
    const scale = scaleOf(spec, first);
    if (spec.by_index ? scale !== defaultScale(spec) : spec.scale !== 0) fields.attention_scale = scale;
  }

  // architecture.layer of organ.json for a run of layers, real numbers as numbers.
  function layerFields(model, first, count) {
    const { family, spec } = model;
    const fields = { hidden_size: spec.hidden, intermediate_size: spec.inner,
      num_attention_heads: spec.heads, num_key_value_heads: spec.kv_heads, head_dim: spec.head_dim,
      norm: family.norm, norm_epsilon: spec.epsilon, norm_placement: family.norm_placement,
      activation: spec.activation, mlp: spec.mlp, attention_bias: spec.bias, mlp_bias: spec.mlp_bias,
      qk_norm: family.qk_norm, position: family.position, attention_sinks: family.sinks,
      shared_state: family.shared_state, experts: spec.experts.count };
    if (spec.experts.count > 0) {
      Object.assign(fields, { experts_per_token: spec.experts.per_token, routing: "softmax_of_top_k",
        swiglu_limit: spec.experts.swiglu_limit, swiglu_alpha: spec.experts.swiglu_alpha });
    }
    if (family.cross_attention) fields.cross_attention = true;
    if (family.position === "relative") {
      fields.relative_attention_num_buckets = spec.buckets;
      fields.relative_attention_max_distance = spec.distance;
    }
    if (family.position === "rope") {
      fields.rope_theta = spec.theta;
      fields.rope_scaling = spec.scaling;
    }
    addScales(spec, first, count, fields);
    fields.attention_types = model.types.slice(first, first + count);
    fields.sliding_window = fields.attention_types.includes("sliding") ? model.window : 0;
    if (family.stack !== "") fields.stack = family.stack;
    fields.tensors = tensorShapes(model);
    return fields;
  }

  return { Corrupt, Unknown, readModel, layerFields,
    number: { isNull, has, isObject, textOr, flagOr, sizeOr, positive, positiveOr, givenOr, refuse } };
})();
