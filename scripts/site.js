// What a page does beyond reading: charts that answer, search without a server.
"use strict";
(() => {
  const here = document.currentScript.src;
  const beside = (name) => new URL(name, here).href;
  const loaded = {};
  const load = (name) => loaded[name] ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    Object.assign(script, { src: beside(name), onload: done, onerror: failed });
    document.head.append(script);
  });

  // A narrow page gets a narrower chart, not a smaller one: letters stay legible.
  const fitted = (spec, room, width) => {
    const single = !["hconcat", "vconcat", "concat", "facet", "repeat"].some((part) => part in spec);
    const view = spec.config.view;
    if (room >= width || !single || spec.width) return spec;
    const inner = Math.max(180, view.continuousWidth - (width - room));
    Object.assign(view, { continuousWidth: inner, discreteWidth: inner });
    if (Array.isArray(spec.title)) spec.title = wrapped(spec.title.join(" "), room / 8);
    return spec;
  };
  const wrapped = (text, most) => text.split(" ").reduce((lines, word) => {
    const last = lines[lines.length - 1];
    if (last && last.length + word.length < most) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
    return lines;
  }, []);

  const enliven = async (figure) => {
    const still = figure.querySelector(".picture");
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const label = still.querySelector("svg").getAttribute("aria-label");
    const width = +still.querySelector("svg").getAttribute("width");
    await load("vega.js");
    const picture = document.createElement("div"), controls = document.createElement("div");
    controls.className = "controls";
    figure.append(controls);
    const options = { actions: false, renderer: "svg", bind: controls, tooltip: { theme: "custom" } };
    const drawn = await vegaEmbed(picture, fitted(spec, still.clientWidth, width), options);
    const svg = picture.querySelector("svg");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    picture.className = "picture live";
    still.replaceWith(picture);
    figure.view = drawn.view;
  };
  const near = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (!entry.isIntersecting) return;
    near.unobserve(entry.target);
    enliven(entry.target).catch((error) => console.error(error));
  }), { rootMargin: "400px" });
  document.querySelectorAll("figure.chart").forEach((figure) => near.observe(figure));

  // Wide code, formulas and tables are scrolled with the keyboard, too.
  const scrolled = "pre, .math, .table-scroll";
  document.querySelectorAll(scrolled).forEach((part) => {
    if (part.scrollWidth > part.clientWidth + 1) part.tabIndex = 0;
  });

  // A page opened as a file may not fetch others, but may load a script.
  if (location.protocol === "file:") {
    const fetched = window.fetch;
    window.fetch = async (name, ...more) => {
      if (!String(name).endsWith("search.json")) return fetched(name, ...more);
      await load("search.js");
      return { json: async () => window.searchIndex };
    };
  }
})();
