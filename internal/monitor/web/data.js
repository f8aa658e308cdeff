// What comes from the server: a stream of events that says which runs have
// changed, and points, fetched for those runs.

import { state, merge, drop, shownRuns, METRICS } from "./store.js";

const BATCH = 25; // runs of a request: charts fill as they come
const POINTS = 12000; // of a chart, over all runs
const PAUSE = 200; // ms between two rounds of fetching
const RETRY = 3000; // ms after one that failed

// weight turns the slider's 0 to 100 into the weight of the past: fine near 1.
export function weight() {
  return state.smooth === 0 ? 0 : 1 - 10 ** ((-3 * state.smooth) / 100);
}

export class Feed {
  // changed() is called when the list of runs has changed, points() when lines
  // have, linked(text) with how the connection is, busy(on) while lines are
  // fetched.
  constructor({ changed, points, linked, busy }) {
    Object.assign(this, { changed, points, linked, busy });
    this.stale = new Set();
    this.fetching = null; // AbortController of the request that runs
    this.timer = 0;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
  }

  open() {
    if (this.events) return;
    this.events = new EventSource("api/events");
    this.events.addEventListener("all", (e) => this.takeAll(JSON.parse(e.data)));
    this.events.addEventListener("runs", (e) => this.takeSome(JSON.parse(e.data)));
    this.events.onopen = () => this.linked("live");
    this.events.onerror = () => {
      const refused = this.events?.readyState === EventSource.CLOSED;
      if (refused) {
        this.close(); // the browser does not try again by itself
        setTimeout(() => document.hidden || this.open(), RETRY);
      }
      this.linked("reconnecting");
    };
  }

  // close gives up the stream: a hidden page needs none, and a browser has few.
  close() {
    this.events?.close();
    this.events = null;
    this.linked("paused");
  }

  takeAll(listing) {
    state.root = listing.root;
    state.problem = listing.problem ?? "";
    this.want(merge(listing.runs, true));
    this.changed();
  }

  takeSome(update) {
    this.want(merge(update.runs, false));
    drop(update.gone ?? []);
    state.problem = update.problem ?? "";
    this.changed();
    if (update.gone) this.points();
  }

  want(names) {
    for (const name of names) this.stale.add(name);
    if (this.stale.size > 0 && !this.fetching && !this.timer) this.timer = setTimeout(() => this.fetch(), 0);
  }

  // refresh fetches all lines anew: the view has changed.
  refresh() {
    this.fetching?.abort();
    this.want(shownRuns().map((run) => run.name));
  }

  async fetch() {
    this.timer = 0;
    const control = (this.fetching = new AbortController());
    this.busy(true);
    let [names, pause] = [[], PAUSE];
    try {
      while (this.stale.size > 0) {
        names = [...this.stale].slice(0, BATCH);
        names.forEach((name) => this.stale.delete(name));
        const known = names.filter((name) => state.runs.get(name)?.shown);
        if (known.length > 0) await this.fetchRuns(known, control.signal);
      }
    } catch (error) {
      if (error.name !== "AbortError") {
        names.forEach((name) => this.stale.add(name));
        pause = RETRY;
        this.linked("reconnecting");
      }
    }
    this.fetching = null;
    this.busy(false);
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.want([]);
    }, pause);
  }

  async fetchRuns(names, signal) {
    const query = new URLSearchParams({ x: state.x, smooth: weight() });
    const per = Math.round(POINTS / Math.max(1, shownRuns().length));
    query.set("points", Math.max(200, Math.min(2000, per)));
    if (state.zoom) {
      query.set("from", state.zoom[0]);
      query.set("to", state.zoom[1]);
    }
    names.forEach((name) => query.append("run", name));
    METRICS.forEach((metric) => query.append("metric", metric.name));
    const response = await fetch("api/series?" + query, { signal });
    if (!response.ok) throw new Error((await response.json()).error);
    const { runs } = await response.json();
    for (const name of names) {
      const run = state.runs.get(name);
      if (run && runs[name]) run.series = runs[name];
    }
    if (this.events?.readyState === EventSource.OPEN) this.linked("live");
    this.points();
  }
}
