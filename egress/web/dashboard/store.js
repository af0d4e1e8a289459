// The jobs as the server tells of them, and who wants to know.

import { follow, get } from "./api.js";

const jobs = new Map();
const history = new Map();
const listeners = new Set();
let connected = false;

/** Figures of a job over the last minute: [{fps, bitrate, cpu, lost}]. */
export const figuresOf = (id) => history.get(id) || [];
export const all = () => [...jobs.values()].sort((a, b) => (a.created < b.created ? 1 : -1));
export const one = (id) => jobs.get(id);
export const online = () => connected;

export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell() {
  for (const listener of listeners) listener();
}

export function remember(job) {
  jobs.set(job.id, { ...jobs.get(job.id), ...job });
  tell();
}

export function forget(id) {
  jobs.delete(id);
  tell();
}

function take(kind, data) {
  if (kind === "job") {
    remember(data);
  } else if (kind === "figures") {
    const job = jobs.get(data.id);
    if (!job) return;
    const before = job.figures;
    const now = data.figures;
    const past = history.get(data.id) || [];
    const seconds = before ? now.elapsed - before.elapsed : 0;
    if (seconds > 0.2) {
      const each = (name) => Math.max(0, ((now[name] || 0) - (before[name] || 0)) / seconds);
      past.push({ fps: each("ticks"), bitrate: each("bytes") * 8, cpu: each("cpu") * 100, lost: each("late") + each("repeated") });
      history.set(data.id, past.slice(-60));
    }
    jobs.set(data.id, { ...job, figures: now, destinations: data.destinations || job.destinations });
    tell();
  }
}

/** Load what runs and follow what happens; returns a function that ends it. */
export async function begin() {
  const page = await get("jobs?limit=100");
  for (const job of page.items) jobs.set(job.id, job);
  tell();
  return follow(take, async (now) => {
    if (now && !connected) {
      // What happened meanwhile is not told again in full: look once.
      const fresh = await get("jobs?limit=100").catch(() => null);
      for (const job of fresh ? fresh.items : []) jobs.set(job.id, { ...jobs.get(job.id), ...job });
    }
    connected = now;
    tell();
  });
}
