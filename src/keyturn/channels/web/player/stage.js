// Inside the sandboxed frame: no cookies, no network, no reach into the page. It is handed whole lines, and plays them.
(() => {
  "use strict";
  const place = document.getElementById("stage");
  let text = "";
  let player = null;
  let following = false; // shown as it happens
  let feed = null; // takes the next event, while following
  let open = false;

  const OPTIONS = { fit: "width", terminalFontSize: "15px", preload: true, cursorMode: "steady" };
  const events = (lines) => lines.split("\n").filter(Boolean).map((line) => JSON.parse(line));

  const length = () => events(text).slice(1).reduce((sum, [passed]) => sum + passed, 0);

  function create(source, options) {
    feed = null;
    player?.dispose();
    place.replaceChildren();
    player = AsciinemaPlayer.create(source, place, { ...OPTIONS, ...options });
  }

  /** The picture at *at* seconds; playing goes on from *start*. */
  function replay(at, start = at) {
    following = false;
    create({ data: text }, { poster: `npt:${at}`, startAt: start });
  }

  /** A source that is told what to show: what is there already at once, then each event as it comes. */
  function live() {
    following = true;
    const source = ({ dispatch }) => ({
      play() {
        const [{ term }, ...past] = events(text);
        dispatch("play");
        dispatch("reset", { size: { cols: term.cols, rows: term.rows } });
        dispatch("playing");
        feed = ([, code, data]) => {
          if (code === "o") dispatch("output", data);
          if (code === "r") {
            const [cols, rows] = data.split("x").map(Number);
            if (cols > 0 && cols < 1000 && rows > 0 && rows < 1000) dispatch("resize", { cols, rows });
          }
        };
        past.forEach(feed);
        return true;
      },
      stop() {
        feed = null;
      },
    });
    create(source, { autoPlay: true });
  }

  addEventListener("message", ({ source, data }) => {
    if (source !== parent || typeof data !== "object" || data === null) return;
    if (typeof data.text === "string") {
      const fresh = data.text;
      const began = !text && fresh;
      const ended = open && data.live !== true;
      text += fresh;
      open = data.live === true;
      if (!text) return;
      if (began && open) live();
      else if (began || (ended && following)) replay(length(), 0);
      else if (feed && fresh) events(fresh).forEach(feed);
    } else if (typeof data.seek === "number") replay(data.seek);
    else if (data.follow === true && open && text) live();
  });
  new ResizeObserver(() => parent.postMessage({ height: place.getBoundingClientRect().height }, "*")).observe(place);
  parent.postMessage({ ready: true }, "*");
})();
