// SPDX-License-Identifier: Apache-2.0
// The verdict on one organ and one model: levels A to D and the rules that differ, as `organ check`
// gives them; level null where config.json cannot say.
"use strict";

const organVerdict = (() => {
  // Equal values have equal texts: keys sorted, no white space.
  function text(value) {
    if (Array.isArray(value)) return `[${value.map(text).join()}]`;
    if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "absent";
    return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${text(value[key])}`).join()}}`;
  }

  // Of the table that all layers share, config.json says nothing.
  const compared = (fields) => Object.keys(fields).filter((key) => key !== "shared_digest");

  function differences(ours, theirs) {
    const keys = [...new Set([...compared(ours), ...compared(theirs)])].sort();
    return keys.filter((key) => text(ours[key]) !== text(theirs[key]));
  }

  function verdict() {
    const findings = [];
    let level = "A";
    return {
      refuse(at, rule, message, hint) {
        if (at > level) level = at;
        findings.push({ rule, message, hint });
      },
      finish: (fitting, unsure) => ({ level, findings, fitting, unsure }),
    };
  }

  // The positions at which the architecture fits, as in organ check.
  function fittingPositions(ours, count, model) {
    const found = [], known = new Map();
    for (let p = 0; p + count <= model.layers; ++p) {
      const fields = organFits.layerFields(model, p, count);
      const pattern = text([fields.attention_types, fields.attention_scale, fields.attention_scales]);
      if (!known.has(pattern)) known.set(pattern, differences(ours, fields).length === 0);
      if (known.get(pattern)) found.push(p);
    }
    return found;
  }

  function compareFields(ours, theirs, rules, out) {
    const wrong = differences(ours, theirs);
    const others = wrong.filter((key) => key !== "tensors");
    for (const key of others.length > 0 ? others : wrong) {
      const rule = Object.hasOwn(rules.fields, key) ? rules.fields[key] : rules.other;
      const values = key === "tensors" ? "other names or shapes in"
        : `${text(ours[key])} in the organ and ${text(theirs[key])} in`;
      out.refuse(rule.level, key, `${key}: ${values} the recipient`, rule.hint);
    }
  }

  // organ: {layer_count, bridge, opaque, family}; fields: those of its layers. Throws
  // organFits.Corrupt for a config that organ check calls corrupt.
  function judge(organ, fields, config, tables, position) {
    const out = verdict();
    if (organ.opaque) {
      // Everything that can be seen must agree; the tensors cannot be seen here.
      if (config !== null && typeof config === "object" && config.model_type !== organ.family) {
        out.refuse("D", "family", "the recipient is of another family", "");
        return out.finish([], []);
      }
      return { level: null, findings: [], fitting: [], unsure: ["its layers' maths is not known to organ"] };
    }
    let model;
    try {
      model = organFits.readModel(config, tables, fields.stack ?? "");
    } catch (error) {
      if (!(error instanceof organFits.Unknown)) throw error;
      out.refuse("D", "family", error.message, "");
      return out.finish([], []);
    }
    const count = organ.layer_count;
    const fitting = fittingPositions(fields, count, model);
    const unsure = ["the element types of its tensors"];
    if (fields.shared_digest !== undefined) unsure.push("the table of position biases");
    if (organ.bridge) out.refuse("C", "bridge", "the organ works only behind its bridge", "");
    if (count > model.layers || position > model.layers - count) {
      out.refuse("D", "range", `layers ${position} to ${position + count - 1} are not all among its ${model.layers}`, "");
    } else {
      compareFields(fields, organFits.layerFields(model, position, count), tables.rules, out);
    }
    return out.finish(fitting, unsure);
  }

  return { judge, text };
})();
