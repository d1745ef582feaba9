// SPDX-License-Identifier: Apache-2.0
// Elements and drawings. Texts become text nodes only, whatever they hold.
"use strict";

const organDraw = (() => {
  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null && child !== ""));
    return node;
  }
  const element = (name, attributes = {}, ...children) =>
    fill(document.createElement(name), attributes, children);
  const shape = (name, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

  const number = (value, digits) => value.toLocaleString("en", { minimumFractionDigits: digits,
    maximumFractionDigits: digits });
  const cut = (text, most) => ([...text].length > most ? `${[...text].slice(0, most - 1).join("")}\u2026` : text);

  function bytes(value) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) {
      value /= 1000;
      ++unit;
    }
    return `${number(value, unit === 0 ? 0 : 1)} ${units[unit]}`;
  }

  const subjects = { recipient_untouched: "untouched", as_transplanted: "transplanted",
    after_recovery: "recovered", wrapper: "wrapper" };
  const nameOf = (subject) => (Object.hasOwn(subjects, subject) ? subjects[subject] : subject);

  // One bar for each figure of one measurement: perplexity, from 0.
  function bars(figures, label) {
    const row = 26, left = 108, width = 340, most = Math.max(...figures.map((one) => one.ppl));
    const svg = shape("svg", { viewBox: `0 0 ${width} ${row * figures.length}`, width, role: "img",
      "aria-label": `${label}: ${figures.map((one) => `${nameOf(one.subject)} ${number(one.ppl, 2)}`).join(", ")}` });
    figures.forEach((one, i) => {
      const long = most > 0 && Number.isFinite(one.ppl / most) ? (one.ppl / most) * 160 : 0;
      svg.append(shape("text", { x: 0, y: i * row + 17 }, cut(nameOf(one.subject), 15)),
        shape("rect", { class: "bar", x: left, y: i * row + 5, width: Math.max(long, 1), height: 15, rx: 2 }),
        shape("text", { x: left + long + 6, y: i * row + 17 }, number(one.ppl, 2)));
    });
    return svg;
  }

  function evaluations(version, measurements) {
    const groups = new Map();
    for (const one of version.evaluations) {
      if (!groups.has(one.of)) groups.set(one.of, []);
      groups.get(one.of).push(one);
    }
    return [...groups].flatMap(([of, figures]) => {
      const { label, dataset, dataset_digest: digest } = measurements[of];
      const rows = figures.map((one) => element("tr", {},
        element("th", { scope: "row" }, nameOf(one.subject)),
        element("td", { class: "n" }, number(one.ppl, 2)), element("td", { class: "n" }, number(one.nll, 4)),
        element("td", { class: "n" }, String(one.tokens))));
      const head = element("tr", {}, element("th", { scope: "col" }, "model"),
        ...["perplexity", "NLL", "tokens"].map((name) => element("th", { scope: "col", class: "n" }, name)));
      return [element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `figures on ${dataset}` },
        bars(figures, `Perplexity on ${dataset}`),
        element("table", {}, element("caption", {}, `${dataset} `, element("code", {}, label), " ",
          element("code", {}, digest)), element("thead", {}, head), element("tbody", {}, ...rows)))];
    });
  }

  // ---- lineage -------------------------------------------------------------------------------------

  function rowsOf(versions) {
    const donors = new Map();
    for (const one of versions) {
      const donor = `${one.donor} (${one.family}, ${one.donor_layer_count} layer${one.donor_layer_count === 1 ? "" : "s"})`;
      if (!donors.has(donor)) donors.set(donor, new Map());
      const names = donors.get(donor);
      if (!names.has(one.name)) names.set(one.name, []);
      names.get(one.name).push(one);
    }
    const rows = [];
    for (const [donor, names] of donors) {
      const top = rows.push({ depth: 0, text: donor }) - 1;
      for (const [name, list] of names) {
        const middle = rows.push({ depth: 1, text: name, parent: top }) - 1;
        for (const version of [...list].sort((a, b) => a.log_index - b.log_index)) {
          rows.push({ depth: 2, text: version.version, parent: middle, version });
        }
      }
    }
    return rows;
  }

  // As organ list names them; none: it is offered to everybody.
  const withdrawals = (version) => [[version.yanked, "yanked"], [version.revoked, "revoked"],
    [version.taken_down, "taken down"]].filter(([why]) => why !== null).map(([, word]) => word);

  function remarks(version) {
    const words = [...version.aliases.map((alias) => `@${alias}`), ...withdrawals(version)];
    if (version.superseded_by) words.push(`superseded by ${version.superseded_by}`);
    return words.join(", ");
  }

  // A tree, one row each; what superseded a version is joined with it at the right.
  function lineage(versions) {
    const all = rowsOf(versions), most = 120, rows = all.slice(0, most);
    const high = 26, width = 640;
    const x = (row) => 10 + 22 * row.depth, y = (i) => 14 + high * i;
    const svg = shape("svg", { viewBox: `0 0 ${width} ${high * Math.max(rows.length, 1)}`, width,
      height: high * Math.max(rows.length, 1), role: "img",
      "aria-label": `${rows.length} rows: donors, their organs and versions` });
    rows.forEach((row, i) => {
      if (row.parent === undefined) return;
      const from = x(rows[row.parent]);
      svg.append(shape("path", { class: "edge", d: `M${from} ${y(row.parent) + 6}V${y(i)}H${x(row) - 6}` }));
    });
    rows.forEach((row, i) => {
      const gone = row.version && withdrawals(row.version).length > 0;
      svg.append(shape("circle", { class: gone ? "node gone" : "node", cx: x(row), cy: y(i), r: 5 }),
        shape("text", { x: x(row) + 12, y: y(i) + 4.5 }, cut(row.text, 60)));
      if (!row.version) return;
      svg.append(shape("text", { class: "small", x: 250, y: y(i) + 4.5 }, cut(remarks(row.version), 50)));
      const later = rows.findIndex((other) => other.version &&
        `${other.version.name}:${other.version.version}` === row.version.superseded_by);
      if (later >= 0) {
        svg.append(shape("path", { class: "later",
          d: `M235 ${y(i)}C245 ${y(i)} 245 ${y(later)} 235 ${y(later)}` }));
      }
    });
    const left = all.length - rows.length;
    return [svg, left > 0 ? element("p", { class: "faint" }, `${left} more row${left === 1 ? "" : "s"}: narrow the list above`) : null];
  }

  return { element, number, bytes, cut, evaluations, lineage, withdrawals };
})();
