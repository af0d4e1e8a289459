// The jobs as the server tells of them, and who wants to know.

import { follow, get } from "./api.js";
import { running } from "./format.js";

const LIVING = "starting,running,stopping,recovering";
const OVER = "finished,failed,aborted";
const KEPT = 60;

const jobs = new Map();
const history = new Map();
const listeners = new Set();
const witnesses = new Map();
let connected = false;
let epoch = 0;

/** Figures of a job over the last minute: [{fps, bitrate, cpu, lost, exertion}]. */
export const figuresOf = (id) => history.get(id) || [];
export const all = () => [...jobs.values()].sort((a, b) => (a.created < b.created ? 1 : -1));
export const one = (id) => jobs.get(id);
export const online = () => connected;
/** Goes up whenever something may have been missed: what was loaded is to be loaded again. */
export const era = () => epoch;

/** `listener(kind)` after every change; `kind` is what the server told: job, figures, event, ... */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** `take(event)` for what happens to a job from now on. */
export function witness(id, take) {
  const those = witnesses.get(id) || new Set();
  witnesses.set(id, those.add(take));
  return () => {
    those.delete(take);
    if (!those.size) witnesses.delete(id);
  };
}

function changed(kind = "job") {
  for (const listener of listeners) listener(kind);
}

export function remember(job) {
  jobs.set(job.id, { ...jobs.get(job.id), ...job });
  if (!running(job)) history.delete(job.id);
  changed();
}

function forget(id) {
  jobs.delete(id);
  history.delete(id);
  changed();
}

function measure(id, before, now) {
  const seconds = before ? now.elapsed - before.elapsed : 0;
  // Another worker counts anew.
  if (seconds < 0.2 || now.ticks < before.ticks) return;
  const each = (name) => Math.max(0, ((now[name] || 0) - (before[name] || 0)) / seconds);
  // A picture that comes too late is made up for by a repeat; repeats that were meant are none that were lost.
  const repeated = each("repeated");
  const lost = Math.max(0, repeated - each("halved"));
  const past = history.get(id) || [];
  past.push({ fps: Math.max(0, each("ticks") - repeated), bitrate: each("bytes") * 8, cpu: each("cpu") * 100, lost, exertion: now.exertion });
  history.set(id, past.slice(-KEPT));
}

function take(kind, data) {
  if (kind === "job") return remember(data);
  if (kind === "figures") {
    const job = jobs.get(data.id);
    if (!job) return undefined;
    measure(data.id, job.figures, data.figures);
    jobs.set(data.id, { ...job, figures: data.figures, destinations: data.destinations || job.destinations });
  } else if (kind === "event") {
    if (data.type === "job.removed") forget(data.body.job);
    for (const told of witnesses.get(data.job) || []) told(data);
  } else if (kind === "missed") {
    load();
  }
  return changed(kind);
}

/** Every job that lives, however many, and the latest that are over. */
async function fetchAll() {
  const found = [];
  let cursor = "";
  do {
    const page = await get(`jobs?state=${LIVING}&limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    found.push(...page.items);
    cursor = page.next;
  } while (cursor);
  return [...found, ...(await get(`jobs?state=${OVER}&limit=20`)).items];
}

/** Look how everything is: what happened meanwhile is not told again in full. */
async function load() {
  epoch += 1;
  const found = await fetchAll().catch(() => null);
  if (!found) return;
  const known = new Map(jobs);
  jobs.clear();
  for (const job of found) jobs.set(job.id, { ...known.get(job.id), ...job });
  for (const [id, job] of known) {
    if (jobs.has(id)) continue;
    // It is over for long and was looked at by itself, or it ended, or was removed, meanwhile.
    jobs.set(id, job);
    if (running(job)) get(`jobs/${encodeURIComponent(id)}`).then(remember, (error) => error.status === 404 && forget(id));
  }
  changed();
}

/** Load what runs and follow what happens; returns a function that ends it. */
export function begin() {
  return follow(take, (now) => {
    if (now && !connected) load();
    connected = now;
    changed("state");
  });
}
