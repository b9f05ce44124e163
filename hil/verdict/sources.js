// Two sources of the same charts: what is embedded in the page, or events of the server that it came from.
(() => {
  const {decoded, element, numbers, show} = strips;

  function embedded() {
    const runs = JSON.parse(document.getElementById("runs").textContent);
    document.querySelectorAll(".charts").forEach(place => {
      const run = runs[place.dataset.run];
      if (run) show(place, decoded(run), "run" + place.dataset.run);
    });
  }

  // the live page: the whole run when the server says so, then rows as they come
  function live() {
    const at = id => document.getElementById(id);
    let run = null, shown = null, waiting = false, heard = 0, over = true;
    const say = (text, tone = "") => {
      at("sentence").textContent = text;
      at("sentence").className = `verdict ${tone}`;
    };
    const begin = message => {
      if (shown) shown.remove();
      at("results").replaceChildren();
      run = decoded(message);
      over = false;
      at("title").textContent = `${message.title}, on ${message.device}`;
      document.title = `${message.title} (live)`;
      say("Running.");
      shown = run.columns.time.length ? show(at("charts"), run, "live") : null;
    };
    const rows = message => {
      if (!run) return;
      run.keys.forEach((key, i) => run.columns[key].push(...numbers(message.columns[i], run.digits[i], false)));
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        if (!run.columns.time.length) return;
        if (shown) shown.update();
        else shown = show(at("charts"), run, "live");
      });
    };
    const end = message => {
      over = true;
      say(message.sentence, message.tone);
      at("results").replaceChildren(...message.results.map(cells => {
        const row = element("tr");
        row.append(...cells.map((text, i) => element("td", text, i === 4 ? text.replace(" ", "-").toLowerCase() : "")));
        return row;
      }));
      at("required").hidden = !message.results.length;
    };
    const earlier = message => {
      at("earlier").replaceChildren(...message.runs.map(cells => {
        const row = element("tr");
        row.append(...cells.map(text => element("td", text)));
        return row;
      }));
      at("before").hidden = !message.runs.length;
    };
    const source = new EventSource("events");
    for (const [name, act] of Object.entries({run: begin, rows, end, earlier}))
      source.addEventListener(name, event => { heard = performance.now(); act(JSON.parse(event.data)); });
    source.onopen = () => { at("state").textContent = "connected"; };
    source.onerror = () => { at("state").textContent = "the server is gone; this page tries again by itself"; };
    setInterval(() => {
      if (source.readyState !== EventSource.OPEN) return;
      const quiet = Math.floor((performance.now() - heard) / 1000);
      at("state").textContent = over || !run || quiet < 2 ? "connected" : `no news for ${quiet} s`;
    }, 500);
  }

  if (document.getElementById("runs")) embedded();
  else live();
})();
