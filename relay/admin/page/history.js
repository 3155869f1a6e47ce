// What do the relay's counters say about the last minutes? The stream brings totals since its
// start; rates and percentiles are differences of two of them, made here.
const KEEP = 300;          // samples: ten minutes of one every two seconds
const WINDOW_S = 60;       // of percentiles
const RATE_WINDOW_S = 10;  // of the rates that are shown as numbers

const seconds = (later, earlier) => (Date.parse(later.time) - Date.parse(earlier.time)) / 1000;

// The value below which a share `q` of what was counted between two histograms lies; NaN if there
// was nothing. Linear within a bucket, as Prometheus does it.
export function quantile(q, later, earlier) {
  const counts = later.counts.map((count, at) => count - (earlier ? earlier.counts[at] : 0));
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return NaN;
  let below = 0;
  for (let at = 0; at < counts.length; ++at) {
    if (below + counts[at] >= q * total && counts[at] > 0) {
      const low = at === 0 ? 0 : later.bounds[at - 1];
      const high = at < later.bounds.length ? later.bounds[at] : low;
      return low + (high - low) * ((q * total - below) / counts[at]);
    }
    below += counts[at];
  }
  return NaN;
}

export class History {
  constructor() {
    this.samples = [];
    this.points = [];
  }

  add(sample) {
    const last = this.samples.at(-1);
    if (last && (last.status.started !== sample.status.started || seconds(sample, last) <= 0)) {
      if (last.status.started === sample.status.started) return;
      this.samples = [];  // the relay was started anew: its counters begin again
      this.points = [];
    }
    this.samples.push(sample);
    if (this.samples.length > KEEP) this.samples.shift();
    this.points.push(this.pointOf(sample));
    if (this.points.length > KEEP) this.points.shift();
  }

  // The newest sample that is at least so much older than the last one; else the oldest.
  before(age) {
    const last = this.samples.at(-1);
    for (let at = this.samples.length - 2; at >= 0; --at) {
      if (seconds(last, this.samples[at]) >= age) return this.samples[at];
    }
    return this.samples.length > 1 ? this.samples[0] : null;
  }

  rate(name, window = RATE_WINDOW_S) {
    const last = this.samples.at(-1);
    const earlier = this.before(window);
    if (!earlier) return NaN;
    return Math.max(0, (last.traffic[name] - earlier.traffic[name]) / seconds(last, earlier));
  }

  quantile(name, q) {
    const last = this.samples.at(-1);
    const earlier = this.before(WINDOW_S);
    return last[name] ? quantile(q, last[name], earlier ? earlier[name] : null) : NaN;
  }

  // Share of DNS look-ups that failed, of the last minute's.
  dnsFailures() {
    const last = this.samples.at(-1).dns;
    const earlier = this.before(WINDOW_S)?.dns;
    const sum = (dns) => (dns ? dns.counts.reduce((total, count) => total + count, 0) : 0);
    const asked = sum(last) - sum(earlier);
    return asked > 0 ? (last.failed - (earlier ? earlier.failed : 0)) / asked : 0;
  }

  pointOf(sample) {
    const states = sample.status.recipients;
    return {
      time: Date.parse(sample.time),
      in: this.rate('accepted', 4),
      out: this.rate('delivered', 4),
      deferred: this.rate('deferred', 4),
      queue: states.ready + states.active + states.deferred + states.held,
      delay: this.quantile('delay', 0.95),
      commit: this.quantile('commit', 0.99),
      dns: this.quantile('dns', 0.95),
      memory: sample.memory_bytes,
      disk: sample.status.store.disk_free_bytes,
      connections: sample.connections.in + sample.connections.out,
    };
  }
}
