// SPDX-License-Identifier: Apache-2.0
// Rotary positions of a config.json, both generations, as organ reads them.
"use strict";

const organRope = (() => {
  const same = (a, b) => organVerdict.text(a) === organVerdict.text(b);

  function ropeObject(config) {
    const { isNull, isObject } = organFits.number;
    const now = !isNull(config, "rope_parameters");
    const before = !isNull(config, "rope_scaling") && !same(config.rope_scaling, {});
    if (now && before && !same(config.rope_parameters, config.rope_scaling)) {
      throw new organFits.Corrupt("'rope_scaling' contradicts 'rope_parameters'");
    }
    if (!now && !before) return null;
    const rope = now ? config.rope_parameters : config.rope_scaling;
    if (!isObject(rope)) throw new organFits.Corrupt("what is said of rotary positions is no object");
    return rope;
  }

  function readTheta(config, rope, absent) {
    const { isNull, positive, positiveOr } = organFits.number;
    const outside = positiveOr(config, "rope_theta", absent);
    if (rope === null || isNull(rope, "rope_theta")) return outside;
    const inside = positive(rope, "rope_theta");
    if (!isNull(config, "rope_theta") && inside !== outside) {
      throw new organFits.Corrupt("'rope_theta' contradicts that of 'rope_parameters'");
    }
    return inside;
  }

  function readType(rope) {
    const { textOr } = organFits.number;
    const now = textOr(rope, "rope_type", null), before = textOr(rope, "type", null);
    if (now !== null && before !== null && now !== before) {
      throw new organFits.Corrupt("'rope_type' contradicts 'type'");
    }
    return now ?? before ?? "default";
  }

  function originalPositions(config, rope, limits, maxPositions) {
    const { sizeOr } = organFits.number, key = "original_max_position_embeddings";
    return sizeOr(config, key, limits.positions, sizeOr(rope, key, limits.positions, maxPositions));
  }

  function readYarn(rope, scaling) {
    const { has, flagOr, positiveOr, givenOr } = organFits.number;
    scaling.beta_fast = givenOr(rope, "beta_fast", 32);
    scaling.beta_slow = givenOr(rope, "beta_slow", 1);
    scaling.truncate = flagOr(rope, "truncate", !has(rope, "truncate"));
    scaling.attention_factor = positiveOr(rope, "attention_factor", 0);
    scaling.mscale = givenOr(rope, "mscale", 0);
    scaling.mscale_all_dim = givenOr(rope, "mscale_all_dim", 0);
    if (scaling.mscale === 0 || scaling.mscale_all_dim === 0 || scaling.attention_factor !== 0) {
      scaling.mscale = scaling.mscale_all_dim = 0;
    }
  }

  function readScaling(config, rope, limits, maxPositions) {
    const { has, positive, refuse } = organFits.number;
    const type = readType(rope);
    if (type === "default") return { rope_type: "none" };
    if (!["linear", "dynamic", "llama3", "yarn"].includes(type)) refuse("rope_type", type);
    const scaling = { rope_type: type };
    const byLengths = type === "yarn" && has(rope, "factor") && rope.factor === null;
    scaling.factor = byLengths ? 1 : positive(rope, "factor");
    if (type === "linear") return scaling;
    scaling.original_max_position_embeddings = type === "dynamic" ? maxPositions
      : originalPositions(config, rope, limits, maxPositions);
    if (byLengths) scaling.factor = maxPositions / scaling.original_max_position_embeddings;
    if (type === "llama3") {
      scaling.low_freq_factor = positive(rope, "low_freq_factor");
      scaling.high_freq_factor = positive(rope, "high_freq_factor");
      if (scaling.high_freq_factor <= scaling.low_freq_factor) {
        throw new organFits.Corrupt("'high_freq_factor' is not above 'low_freq_factor'");
      }
    }
    if (type === "yarn") readYarn(rope, scaling);
    return scaling;
  }

  // theta and scaling, the latter as layer fields have it.
  function read(config, family, limits, maxPositions, spec) {
    const { isNull, isObject, refuse } = organFits.number;
    if (spec.head_dim % 2 !== 0) throw new organFits.Corrupt("the head dimension is odd");
    const rope = ropeObject(config);
    const theta = readTheta(config, rope, family.defaults.theta);
    if (rope === null) {
      const yarn = { rope_type: "yarn", factor: 32, original_max_position_embeddings: 4096, beta_fast: 32,
        beta_slow: 1, truncate: false, attention_factor: 0, mscale: 0, mscale_all_dim: 0 };
      return { theta, scaling: family.defaults.yarn ? yarn : { rope_type: "none" } };
    }
    for (const [key, value] of Object.entries(rope)) {
      if (isObject(value)) refuse(key, value);
    }
    if (!isNull(rope, "partial_rotary_factor") && rope.partial_rotary_factor !== 1) {
      refuse("partial_rotary_factor", rope.partial_rotary_factor);
    }
    return { theta, scaling: readScaling(config, rope, limits, maxPositions) };
  }

  return { read };
})();
