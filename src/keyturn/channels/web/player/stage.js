// Inside the sandboxed frame: no cookies, no network, no reach into the page. It is handed text, and plays it.
(() => {
  "use strict";
  const place = document.getElementById("stage");
  let text = "";
  let player = null;

  const length = () => {
    let seconds = 0;
    for (const line of text.split("\n").slice(1)) {
      try {
        seconds += JSON.parse(line)[0] || 0;
      } catch {
        break; // the last line may still be on its way
      }
    }
    return seconds;
  };

  const whole = () => text.slice(0, text.lastIndexOf("\n") + 1);

  function show(live) {
    player?.dispose();
    place.replaceChildren();
    const options = { fit: "width", terminalFontSize: "15px", preload: true, poster: `npt:${live ? length() : 0}` };
    player = AsciinemaPlayer.create({ data: whole() }, place, options);
  }

  addEventListener("message", ({ source, data }) => {
    if (source !== parent || typeof data !== "object" || data === null) return;
    if (typeof data.text === "string") {
      text += data.text;
      show(data.live === true);
    } else if (typeof data.seek === "number") {
      player?.seek(data.seek);
    }
  });
  new ResizeObserver(() => parent.postMessage({ height: document.documentElement.scrollHeight }, "*")).observe(place);
  parent.postMessage({ ready: true }, "*");
})();
