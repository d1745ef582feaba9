// SPDX-License-Identifier: Apache-2.0
// The list, its filters and the recipient that is asked about.
"use strict";

const organPage = (() => {
  const { element, number, bytes, withdrawals } = organDraw;
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const counted = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
  const step = 100;
  const state = { model: null, shown: step, verdicts: new Map() };
  const titleOf = (version) => `${version.name}:${version.version}`;
  const haystacks = data.versions.map((one) => [one.name, one.version, one.description, one.donor, one.license ?? "",
    one.family, ...one.aliases.map((alias) => `@${alias}`)].join(" ").toLowerCase());

  // ---- verdicts --------------------------------------------------------------------------------------

  // Of one version at its own position; versions alike share it.
  function verdictOf(version) {
    if (state.model === null || version.damage !== null) return null;
    const key = [version.architecture, version.first_layer, version.layer_count, version.bridge].join();
    if (!state.verdicts.has(key)) {
      const fields = data.architectures[version.architecture].fields;
      state.verdicts.set(key, organVerdict.judge(version, fields, state.model, data.tables, version.first_layer));
    }
    return state.verdicts.get(key);
  }

  function ranges(positions) {
    const runs = [];
    for (const p of positions) {
      if (runs.length > 0 && runs.at(-1)[1] === p - 1) runs.at(-1)[1] = p;
      else runs.push([p, p]);
    }
    return runs.map(([a, b]) => (a === b ? `${a}` : `${a} to ${b}`)).join(", ");
  }

  function verdictTag(verdict) {
    if (verdict.level === "A") return element("span", { class: "tag good" }, "fits (A)");
    if (verdict.level === null) return element("span", { class: "tag warn" }, "organ check decides");
    if (verdict.fitting.length > 0) {
      return element("span", { class: "tag warn" }, `${verdict.level}, fits elsewhere`);
    }
    return element("span", { class: "tag bad" }, `does not fit (${verdict.level})`);
  }

  function verdictPart(version, verdict) {
    const items = verdict.findings.map((one) => element("li", {}, one.message, one.hint ? ` (${one.hint})` : ""));
    const unsure = verdict.unsure.length > 0 && verdict.level !== "D"
      ? element("p", { class: "faint" }, `Not seen in config.json, but by organ check: ${verdict.unsure.join(", ")}.`)
      : null;
    return [element("h3", {}, "In the recipient"),
      element("p", {}, verdictTag(verdict), ` at layer ${version.first_layer}`,
        verdict.fitting.length > 0 ? `; layers where it fits: ${ranges(verdict.fitting)}` : ""),
      items.length > 0 ? element("ul", { class: "plain" }, ...items) : null, unsure];
  }

  // ---- one version -----------------------------------------------------------------------------------

  function trustTag(version) {
    if (version.damage !== null) return element("span", { class: "tag bad" }, "damaged");
    const signed = version.trust.keys.length;
    if (!version.trust.trusted) return element("span", { class: "tag bad" }, "not trusted");
    return signed > 0 ? element("span", { class: "tag good" }, `signed by ${signed} trusted key${signed > 1 ? "s" : ""}`)
      : element("span", { class: "tag warn" }, "not signed by a trusted key");
  }

  function best(version) {
    const own = version.evaluations.filter((one) => one.subject !== "recipient_untouched");
    return own.length > 0 ? own.reduce((a, b) => (b.nll < a.nll ? b : a)) : null;
  }

  function summaryOf(version) {
    const figure = best(version), verdict = verdictOf(version);
    return element("summary", { id: titleOf(version) }, element("span", { class: "title" }, titleOf(version)),
      verdict ? verdictTag(verdict) : null, trustTag(version),
      ...withdrawals(version).map((word) => element("span", { class: "tag bad" }, word)),
      version.superseded_by ? element("span", { class: "tag warn" }, "superseded") : null,
      ...version.aliases.map((alias) => element("span", { class: "tag" }, `@${alias}`)),
      ...(version.damage === null ? [`${version.family}, ${version.layer_count} of ${version.donor_layer_count} layers`,
        figure ? `perplexity ${number(figure.ppl, 2)}` : "not measured"] : [])
        .map((text) => element("span", { class: "faint" }, text)));
  }

  // A link where the successor is in this page; the browser goes to its summary, which is there by then.
  function successor(version) {
    const title = version.superseded_by, later = data.versions.find((one) => titleOf(one) === title);
    const link = element(later ? "a" : "span", later ? { href: `#${encodeURIComponent(title)}` } : {}, title);
    if (later) link.addEventListener("click", () => reveal(later));
    return element("span", {}, "by ", link, version.superseded_reason ? `: ${version.superseded_reason}` : "");
  }

  function facts(version) {
    const last = version.first_layer + version.layer_count - 1;
    const rows = [["identity", element("code", {}, version.digest)],
      ["published", `${version.published}, entry ${version.log_index} of the log`],
      ["licence", version.license ?? "none named"],
      ["donor", `${version.donor}, layers ${version.first_layer} to ${last} of ${version.donor_layer_count}`],
      ["trained", version.trained ?? "no"], ["size", bytes(version.bytes)]];
    if (version.yanked !== null) rows.push(["yanked", version.yanked]);
    if (version.revoked !== null) rows.push(["revoked", version.revoked]);
    const { taken_down: takedown } = version;
    if (takedown !== null) rows.push(["taken down", `on ${takedown.time} because ${takedown.reason}`]);
    if (version.superseded_by) rows.push(["superseded", successor(version)]);
    return element("dl", {}, ...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  }

  function trustPart(version) {
    const lines = [...version.trust.keys.map((key) => element("li", { class: "good" }, "signed by key ",
      element("code", {}, data.keys[key]))),
      ...version.trust.refusals.map((text) => element("li", { class: "bad" }, text)),
      ...version.trust.warnings.map((text) => element("li", { class: "warn" }, text))];
    return [element("h3", {}, "Signatures"), lines.length > 0 ? element("ul", { class: "plain" }, ...lines)
      : element("p", { class: "faint" }, "nothing was signed")];
  }

  function bodyOf(version) {
    if (version.damage !== null) return [element("p", { class: "bad" }, version.damage), facts(version)];
    const verdict = verdictOf(version);
    return [version.description ? element("p", { class: "description" }, version.description) : null,
      ...(verdict ? verdictPart(version, verdict) : []), facts(version), ...trustPart(version),
      element("h3", {}, "Evaluations"), ...(version.evaluations.length > 0
        ? organDraw.evaluations(version, data.measurements) : [element("p", { class: "faint" }, "none recorded")]),
    ].filter((part) => part !== null);
  }

  function entry(version) {
    const body = element("div"), details = element("details", {}, summaryOf(version), body);
    details.addEventListener("toggle", () => {
      if (details.open && body.childNodes.length === 0) body.append(...bodyOf(version));
    });
    return element("li", {}, details);
  }

  // ---- the list ----------------------------------------------------------------------------------------

  function wanted() {
    const words = byId("words").value.toLowerCase().split(/\s+/).filter((word) => word !== "");
    const family = byId("family").value, trust = byId("trust").value;
    const withdrawn = byId("withdrawn").checked, fitting = byId("fitting").checked && state.model !== null;
    return data.versions.filter((one, i) => words.every((word) => haystacks[i].includes(word)) &&
      (family === "" || one.family === family) &&
      (trust === "" || (one.damage === null && one.trust.trusted) === (trust === "yes")) &&
      (withdrawn || withdrawals(one).length === 0) &&
      (!fitting || verdictOf(one)?.level === "A"));
  }

  // By level first where a model is asked about: what fits, then what nobody knows, then the rest.
  function ordered(versions) {
    const level = (one) => {
      const verdict = verdictOf(one);
      return verdict === null ? 0 : { A: 0, null: 1, B: 2, C: 3, D: 4 }[verdict.level];
    };
    const nll = (one) => best(one)?.nll ?? Infinity;
    const order = byId("order").value;
    const rank = { name: () => 0, new: (one) => -one.log_index, best: nll }[order];
    return versions.map((one, i) => ({ one, i, level: level(one), rank: rank(one) }))
      .sort((a, b) => a.level - b.level || (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : a.i - b.i))
      .map(({ one }) => one);
  }

  function show() {
    const versions = ordered(wanted());
    byId("versions").replaceChildren(...versions.slice(0, state.shown).map(entry));
    byId("more").hidden = versions.length <= state.shown;
    byId("count").textContent = `${versions.length} of ${data.versions.length} versions`;
    byId("lineage").replaceChildren(...organDraw.lineage(versions).filter((part) => part !== null));
  }

  function showFirst() {
    state.shown = step;
    show();
  }

  // Opens it in the list, which loses the filters that hide it.
  function reveal(version) {
    let at = ordered(wanted()).indexOf(version);
    const hidden = at < 0;
    if (hidden) {
      for (const id of ["words", "family", "trust"]) byId(id).value = "";
      byId("fitting").checked = false;
      byId("withdrawn").checked ||= withdrawals(version).length > 0;
      at = ordered(wanted()).indexOf(version);
    }
    const more = at >= state.shown;
    if (more) state.shown = at + 1;
    if (hidden || more) show();
    byId(titleOf(version)).parentElement.open = true;
  }

  // The page may be opened at a version: another tab, a link that was kept, the way back.
  function revealNamed() {
    let named = "";
    try {
      named = decodeURIComponent(location.hash.slice(1));
    } catch {
      return;  // somebody's % is no code
    }
    const at = data.versions.findIndex((one) => titleOf(one) === named);
    if (at >= 0) reveal(data.versions[at]);
  }

  // ---- the recipient -----------------------------------------------------------------------------------

  function forget(message, bad) {
    state.model = null;
    state.verdicts.clear();
    byId("model").replaceChildren(element("span", { class: bad ? "bad" : "faint" }, message));
    byId("forget").hidden = true;
    showFirst();
  }

  function ask(config, name) {
    state.model = config;
    state.verdicts.clear();
    try {
      data.versions.forEach(verdictOf);  // throws what organ check would say of the model
    } catch (error) {
      forget(`${name}: ${error.message}`, true);
      if (!(error instanceof organFits.Corrupt || error instanceof RangeError)) throw error;  // nested too deep
      return;
    }
    const fits = data.versions.filter((one) => verdictOf(one)?.level === "A").length;
    byId("model").replaceChildren(`${name}: ${fits} of ${data.versions.length} versions fit where they come from`);
    byId("forget").hidden = false;
    showFirst();
  }

  async function read(file) {
    const most = 1 << 24;
    if (file.size > most) return forget(`${file.name}: longer than 16 MiB, which no config.json is`, true);
    let config;
    try {
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
      config = JSON.parse(text.decode(await file.arrayBuffer()));
    } catch {
      return forget(`${file.name}: no JSON that a browser reads; organ check may read it`, true);
    }
    return ask(config, file.name);
  }

  const shapes = [["hidden_size", "hidden size"], ["intermediate_size", "intermediate size"],
    ["layer_count", "layers"], ["heads", "heads"], ["kv_heads", "key-value heads"], ["head_dim", "head dimension"],
    ["norm_epsilon", "norm epsilon"], ["max_positions", "positions"], ["rope_theta", "RoPE theta"]];

  function makeShapeForm() {
    const form = byId("shape"), families = [...new Set(data.tables.families.map((one) => one.model_type))];
    const field = (id, label, input) => element("div", {}, element("label", { for: id }, label), input);
    const choices = families.map((name) => element("option", { value: name }, name));
    const fields = [field("shape-family", "family", element("select", { id: "shape-family" }, ...choices)),
      ...shapes.map(([key, label]) => field(`shape-${key}`, label,
        element("input", { id: `shape-${key}`, type: "number", min: "0", step: "any" })))];
    form.prepend(...fields);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask(shapeConfig(), "the shape");
    });
  }

  // What was not entered is what transformers assumes without the key.
  function shapeConfig() {
    const modelType = byId("shape-family").value, config = { model_type: modelType, vocab_size: 1 };
    const { keys } = data.tables.families.find((one) => one.model_type === modelType);
    for (const [key] of shapes) {
      const value = byId(`shape-${key}`).value, name = key === "rope_theta" ? key : keys[key];
      if (value !== "" && name !== "") config[name] = Number(value);
    }
    return config;
  }

  // ---- all of it ---------------------------------------------------------------------------------------

  function listenToDrops() {
    const drop = byId("drop");
    for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
      drop.addEventListener(type, (event) => {
        event.preventDefault();
        drop.classList.toggle("over", type === "dragenter" || type === "dragover");
        if (type === "drop" && event.dataTransfer.files.length > 0) read(event.dataTransfer.files[0]);
      });
    }
    byId("config").addEventListener("change", (event) => {
      if (event.target.files.length > 0) read(event.target.files[0]);
    });
  }

  function start() {
    const names = new Set(data.versions.map((one) => one.name)), { registry } = data;
    byId("summary").textContent = `${counted(data.versions.length, "version")} of ${counted(names.size, "organ")}`;
    byId("made").replaceChildren(`Made from the first ${counted(registry.entries, "entry", "entries")} of the log of key `,
      element("code", {}, registry.log_key), registry.newest ? `, the newest of ${registry.newest}.` : ".");
    for (const family of [...new Set(data.versions.map((one) => one.family))].sort()) {
      if (family !== "") byId("family").append(element("option", { value: family }, family));
    }
    for (const id of ["words", "family", "trust", "order", "withdrawn", "fitting"]) {
      byId(id).addEventListener("input", showFirst);
    }
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("more").addEventListener("click", () => {
      state.shown += step;
      show();
    });
    byId("forget").addEventListener("click", () => forget("", false));
    makeShapeForm();
    listenToDrops();
    show();
    revealNamed();
    window.addEventListener("hashchange", revealNamed);
  }

  start();
  return { data, ask, read };
})();
