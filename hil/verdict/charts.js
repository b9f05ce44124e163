// Strip charts with one cursor.
"use strict";
const strips = (() => {
  const root = document.documentElement;
  const css = name => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const element = (tag, text, kind) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const MARGIN = 30, FONT = "11px system-ui, sans-serif";
  const plots = new Set();

  // whole numbers in units of the last digit; embedded ones are steps from the number before
  function numbers(column, digits, steps) {
    const unit = 10 ** digits;
    let sum = 0;
    return column.map(n => {
      if (n === null) return null;
      sum = steps ? sum + n : n;
      return sum / unit;
    });
  }

  function decoded(run) {
    const columns = {};
    run.keys.forEach((key, i) => { columns[key] = numbers(run.columns[i], run.digits[i], run.steps); });
    return {...run, columns};
  }

  function clock(t, digits = 0) {
    const s = Math.abs(t), hours = Math.floor(s / 3600), minutes = Math.floor(s / 60) % 60;
    const seconds = (s % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
    return (t < 0 ? "-" : "") + (hours ? `${hours}:${String(minutes).padStart(2, "0")}` : minutes) + ":" + seconds;
  }

  // stretches over which a lane keeps its value
  function stretches(run, key) {
    const values = run.columns[key], time = run.columns.time, found = [];
    for (let i = 0; i < values.length; i++) {
      const last = found[found.length - 1];
      if (last && last.value === values[i]) last.to = time[i];
      else {
        if (last) last.to = time[i];
        found.push({value: values[i], from: time[i], to: time[i]});
      }
    }
    return found;
  }

  // what shades the charts and what is marked on them follows from the lanes
  function events(run) {
    const lanes = run.charts[run.charts.length - 1].lanes;
    const windows = [], marks = [];
    for (const lane of lanes) {
      lane.stretches = stretches(run, lane.key);
      const last = lane.words.length - 1;
      for (const each of lane.stretches) {
        if (lane.shades && each.value === last)
          windows.push({from: each.from, to: each.to, label: lane.label.replace("injected: ", "")});
        if (lane.marks && each.value > 0)
          marks.push({at: each.from, label: `${lane.label.replace("device on ", "")}: ${lane.words[each.value]}`});
      }
    }
    windows.sort((a, b) => a.from - b.from);
    marks.sort((a, b) => a.at - b.at);
    run.windows = windows;
    run.marks = marks;
  }

  function shade(u, run) {
    const {ctx, bbox} = u;
    ctx.save();
    ctx.fillStyle = css("fault-shade");
    for (const {left, right} of shown(u, run)) ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.restore();
  }

  // windows in pixels, those that are in sight
  function shown(u, run) {
    const {left, width} = u.bbox, pixel = time => u.valToPos(time, "x", true);
    return run.windows.map(({label, from, to}) => ({
      label, left: Math.max(pixel(from), left),
      right: Math.min(Math.max(pixel(to), pixel(from) + devicePixelRatio), left + width),
    })).filter(each => each.right > each.left);
  }

  // what comes and goes is named once
  function name(u, run) {
    const {ctx, bbox} = u, ratio = devicePixelRatio, rows = [], said = new Set();
    ctx.save();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    ctx.fillStyle = css("fault");
    for (const {label, left} of shown(u, run)) {
      if (said.has(label)) continue;
      said.add(label);
      const width = ctx.measureText(label).width + 4 * ratio;
      const at = Math.min(left + 4 * ratio, bbox.left + bbox.width - width);
      let row = rows.findIndex(end => end < at);
      if (row < 0) row = rows.length;
      if (row > 3) continue;
      rows[row] = at + width;
      ctx.fillText(label, at, bbox.top + (3 + 14 * row) * ratio);
    }
    ctx.restore();
  }

  function mark(u, run, named) {
    const {ctx, bbox} = u, ratio = devicePixelRatio;
    ctx.save();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "bottom";
    ctx.textAlign = "left";
    ctx.lineWidth = ratio;
    ctx.setLineDash([2 * ratio, 2 * ratio]);
    const rows = [], last = new Map();
    for (const each of run.marks) {
      const at = Math.round(u.valToPos(each.at, "x", true)) + 0.5;
      if (at < bbox.left || at > bbox.left + bbox.width) continue;
      ctx.strokeStyle = css("ink");
      ctx.beginPath();
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, bbox.top + bbox.height);
      ctx.stroke();
      const near = at - (last.get(each.label) ?? -Infinity) < 160 * ratio;
      if (!named || near) continue;
      last.set(each.label, at);
      const width = ctx.measureText(each.label).width + 8 * ratio;
      const begin = Math.min(at + 4 * ratio, bbox.left + bbox.width - width);
      let row = rows.findIndex(end => end < begin);
      if (row < 0) row = rows.length;
      if (row > 2) continue;
      rows[row] = begin + width;
      ctx.fillStyle = css("ink");
      ctx.fillText(each.label, begin, bbox.top + bbox.height - (3 + 14 * row) * ratio);
    }
    ctx.restore();
  }

  function drawLanes(u, lanes) {
    const {ctx, bbox} = u, ratio = devicePixelRatio, height = bbox.height / lanes.length;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    lanes.forEach((lane, i) => {
      const top = bbox.top + i * height;
      ctx.fillStyle = css("quiet");
      ctx.fillText(lane.label, bbox.left + 4 * ratio, top + 3 * ratio);
      let end = bbox.left + 4 * ratio + ctx.measureText(lane.label).width + 10 * ratio;
      for (const each of lane.stretches) {
        const from = u.valToPos(each.from, "x", true), to = Math.max(u.valToPos(each.to, "x", true), from + 2 * ratio);
        ctx.fillStyle = css(lane.colour);
        if (!each.value || to < bbox.left || from > bbox.left + bbox.width) continue;
        ctx.globalAlpha = lane.shades && each.value < lane.words.length - 1 ? 0.25 : 0.9;
        ctx.fillRect(from, top + height - 10 * ratio, to - from, 7 * ratio);
        ctx.globalAlpha = 1;
        const word = lane.words[each.value] ?? String(each.value), width = ctx.measureText(word).width;
        const at = Math.min(Math.max(from, bbox.left + 4 * ratio), bbox.left + bbox.width - width - 4 * ratio);
        if (at < end) continue;
        ctx.fillText(word, at, top + 3 * ratio);
        end = at + width + 8 * ratio;
      }
    });
    ctx.restore();
  }

  const REACH = {degC: 1, K: 0.5, A: 1, V: 0.02, W: 0.1}; // where the truth hardly moves

  // the scale follows the truth; an estimate, a band and broken sensors stretch it only so far
  function scaled(lines, run, band, unit) {
    return u => {
      const [first, last] = u.series[0].idxs ?? [0, 0], time = run.columns.time;
      // from here on the start is forgotten: before, bands and errors are as wide as it was uncertain
      let settled = time[0] + Math.min(0.05 * (time[time.length - 1] - time[0]), 120);
      let low = Infinity, high = -Infinity;
      const take = (key, least, most, offset = null, sign = 0) => {
        const values = key ? run.columns[key] : null;
        for (let i = first; i <= last; i++) {
          let v = key ? values[i] : 0;
          if (time[i] < settled && (offset || band && !band[0])) continue;
          if (v === null || v === undefined) continue;
          if (offset) {
            if (offset[i] === null) continue;
            v += sign * offset[i];
          }
          low = Math.min(low, Math.max(v, least));
          high = Math.max(high, Math.min(v, most));
        }
      };
      lines.filter(line => line.leads).forEach((line, i) => {
        if (line.key === "core" && i > 0) return;
        take(line.key, -Infinity, Infinity);
      });
      if (low > high) {
        settled = -Infinity;
        lines.forEach(line => take(line.key, -Infinity, Infinity));
      }
      if (low > high) return [0, 1];
      const reach = Math.max(0.4 * (high - low), REACH[unit] ?? 0), least = low - reach, most = high + reach;
      lines.forEach(line => take(line.key, least, most));
      if (band) for (const sign of [-2, 2]) take(band[0], least, most, run.columns[band[1]], sign);
      const space = 0.06 * (high - low) || 0.5;
      return [low - space, high + space];
    };
  }

  function sides(run, [centre, sigma], sign) {
    const middle = centre ? run.columns[centre] : null;
    return run.columns[sigma].map((s, i) => {
      const m = middle ? middle[i] : 0;
      return s === null || m === null ? null : m + sign * 2 * s;
    });
  }

  const axis = () => ({
    stroke: () => css("quiet"), font: FONT, labelFont: FONT, grid: {stroke: () => css("line"), width: 1},
    ticks: {stroke: () => css("line"), width: 1, size: 4},
  });

  const INCREMENTS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600,
    7200, 14400, 28800, 43200, 86400, 172800, 432000, 864000];

  function timeAxis(shown) {
    return {
      ...axis(), incrs: INCREMENTS, space: 70, size: shown ? 30 : 6,
      values: (u, splits, i, space, step) => splits.map(t => shown ? clock(t, step < 0.1 ? 2 : step < 1 ? 1 : 0) : ""),
    };
  }

  function common(width, height, sync) {
    return {
      width, height, ms: 1, padding: [8, MARGIN, 0, 0],
      cursor: {sync: {key: sync, setSeries: false}, points: {size: 5}, drag: {x: true, y: false}},
      scales: {x: {time: false}},
      legend: {markers: {width: 2, stroke: (u, i) => u.series[i].mark ?? "transparent", fill: () => "transparent",
        dash: (u, i) => u.series[i].dash?.length ? "dashed" : "solid"}},
    };
  }

  const shownTime = {label: "time", value: (u, v) => v === null || v === undefined ? "" : clock(v, 1)};

  function strip(spec, run, width, sync, first) {
    const {band, lines} = spec;
    const digits = key => run.digits[run.keys.indexOf(key)];
    const series = [shownTime];
    for (const line of lines)
      series.push({
        label: line.label, stroke: () => css(line.colour), mark: `var(--${line.colour})`, width: line.width,
        dash: line.dash, spanGaps: false, points: {show: false},
        value: (u, v, s, i) => {
          if (i === null || i === undefined) return "";
          if (v === null || v === undefined) return "–";
          let text = v.toFixed(digits(line.key));
          const sigma = band && (band[0] === line.key || !band[0]) && i !== null ? run.columns[band[1]][i] : null;
          if (sigma !== null && sigma !== undefined) text += ` ± ${(2 * sigma).toFixed(2)}`;
          text += " " + spec.unit;
          const cell = spec.number && i !== null ? run.columns[spec.number][i] : null;
          return cell !== null && cell !== undefined ? `${text} (cell ${cell})` : text;
        },
      });
    const options = {
      ...common(width, spec.height, sync), series,
      scales: {x: {time: false}, y: {range: scaled(lines, run, band, spec.unit)}},
      axes: [timeAxis(first), {...axis(), size: 56, space: 28}],
      hooks: {drawClear: [u => shade(u, run)], draw: [u => mark(u, run, first), ...first ? [u => name(u, run)] : []]},
    };
    if (band) {
      for (let i = 0; i < 2; i++) series.push({label: "", class: "unnamed", width: 0, points: {show: false}});
      options.bands = [{series: [lines.length + 1, lines.length + 2], fill: () => css("band")}];
    }
    const data = () => {
      const all = [run.columns.time, ...lines.map(line => run.columns[line.key])];
      return band ? [...all, sides(run, band, 1), sides(run, band, -1)] : all;
    };
    return {options, data};
  }

  function laneStrip(spec, run, width, sync) {
    const {lanes} = spec;
    const options = {
      ...common(width, 26 * lanes.length + 44, sync),
      series: [shownTime, ...lanes.map(lane => ({
        label: lane.label, mark: `var(--${lane.colour})`, stroke: () => css(lane.colour), paths: () => null,
        points: {show: false}, value: (u, v) => v === null || v === undefined ? "" : lane.words[v] ?? String(v),
      }))],
      scales: {x: {time: false}, y: {range: [0, 1]}},
      axes: [timeAxis(true), {...axis(), size: 56, values: () => [], grid: {show: false}, ticks: {show: false}}],
      hooks: {drawClear: [u => shade(u, run)], draw: [u => drawLanes(u, lanes)]},
    };
    return {options, data: () => [run.columns.time, ...lanes.map(lane => run.columns[lane.key])]};
  }

  // draw all charts of a run into a place; returns what redraws them with more rows
  function show(place, run, sync) {
    events(run);
    place.replaceChildren();
    const width = () => Math.max(place.clientWidth, 260);
    const made = run.charts.map((spec, i) => {
      const figure = element("figure");
      figure.append(element("figcaption", spec.unit ? `${spec.title}, ${spec.unit}` : spec.title));
      place.append(figure);
      const draw = spec.lanes ? laneStrip : strip;
      const {options, data} = draw(spec, run, width(), sync, i === 0);
      const plot = new uPlot(options, data(), figure);
      plots.add(plot);
      return {plot, data, whole: null};
    });
    const observer = new ResizeObserver(() => {
      if (root.classList.contains("printing")) return;
      for (const {plot} of made) if (plot.width !== width()) plot.setSize({width: width(), height: plot.height});
    });
    observer.observe(place);
    return {
      update() {
        events(run);
        for (const each of made) {
          const {plot, data, whole} = each, {min, max} = plot.scales.x;
          const zoomed = whole !== null && (min > whole.min || max < whole.max);
          plot.setData(data(), !zoomed);
          if (zoomed) plot.redraw();
          else requestAnimationFrame(() => { each.whole = {...plot.scales.x}; });
        }
      },
      remove() {
        observer.disconnect();
        for (const {plot} of made) { plots.delete(plot); plot.destroy(); }
        place.replaceChildren();
      },
    };
  }

  const redraw = () => { for (const plot of plots) plot.redraw(false); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  // on paper everything is light, and as wide as a page
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    for (const plot of plots) { plot.before = plot.width; plot.setSize({width: 680, height: plot.height}); }
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    for (const plot of plots) plot.setSize({width: plot.before ?? plot.width, height: plot.height});
  });

  return {decoded, element, numbers, show};
})();
