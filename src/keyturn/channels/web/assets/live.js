// One stream for all tabs. A browser gives a server six connections; so one tab holds the stream (a Web Lock says which)
// and relays to the others. When it closes, the next one takes over where it stopped.

import { $ } from "./frame.js";

const KEPT = 300; // changes the leader remembers for a tab that joins late
const SILENT = 40_000; // two and a half beats without a word: the connection is lost

/** @typedef {{index: number, type: string, session?: string, request?: string, state?: string}} Change */

let last = Number(document.body.dataset.head);
let state = "connecting";
/** @type {Change[]} */
const kept = [];
const between = "BroadcastChannel" in globalThis ? new BroadcastChannel("keyturn") : null;
let leads = false;

/** Hear of every entry as it lands; `reload` when too much was missed. */
export function live(/** @type {(change: Change) => void} */ changed, reload = () => location.reload()) {
  const words = { live: "live", lost: "reconnecting, this may be stale", connecting: "connecting", out: "signed out" };

  function show(/** @type {string} */ now) {
    state = now;
    $("live").dataset.state = now === "out" ? "lost" : now;
    $("live-words").textContent = words[/** @type {"live"} */ (now)];
    if (leads) between?.postMessage({ state: now });
  }

  function take(/** @type {Change} */ change) {
    if (change.index <= last) return;
    last = change.index;
    if (leads) {
      kept.push(change);
      if (kept.length > KEPT) kept.shift();
      between?.postMessage({ change });
    }
    const by = { "request.opened": 1, "request.ended": -1 }[change.type];
    if (by) $("count").textContent = String(Math.max(0, Number($("count").textContent) + by));
    changed(change);
  }

  function lead() {
    leads = true;
    /** @type {EventSource} */
    let source;
    let alarm = 0;
    const alive = () => {
      clearTimeout(alarm);
      alarm = setTimeout(again, SILENT);
      if (state !== "live") show("live");
    };
    const again = () => {
      source.close();
      clearTimeout(alarm);
      show("lost");
      setTimeout(open, 2000);
    };
    const open = () => {
      source = new EventSource(`/events?after=${last}`);
      source.onopen = alive;
      source.onmessage = (event) => {
        alive();
        take(JSON.parse(event.data));
      };
      source.addEventListener("beat", alive);
      source.addEventListener("reload", () => {
        between?.postMessage({ reload: true });
        reload();
      });
      source.onerror = async () => {
        source.close();
        clearTimeout(alarm);
        show("lost");
        const answer = await fetch("/fragments/row/-", { redirect: "error" }).catch(() => null);
        if (answer?.status === 401) show("out");
        else setTimeout(open, 2000);
      };
    };
    open();
    return new Promise(() => {}); // held until the tab goes
  }

  if (between) {
    between.onmessage = ({ data }) => {
      if (data.hello !== undefined) {
        if (!leads) return;
        between.postMessage({ state });
        if (data.hello < last && (kept[0]?.index ?? Infinity) > data.hello + 1) between.postMessage({ reload: data.hello });
        for (const change of kept) if (change.index > data.hello) between.postMessage({ change });
      } else if (data.change) take(data.change);
      else if (data.state) show(data.state);
      else if (data.reload === true || data.reload === last) reload();
    };
  }
  if (between && navigator.locks) {
    navigator.locks.request("keyturn-live", lead);
    between.postMessage({ hello: last });
  } else lead(); // without a secure context there are no locks: this tab holds its own stream
}
