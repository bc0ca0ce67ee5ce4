// What a Prometheus server would refuse or misread in a text of its format 0.0.4, and what its users' conventions ask for.
'use strict';

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$/;
const OF_FAMILY = /_(bucket|sum|count)$/;

/** The faults found, none for a good text. */
function lint(text) {
  const faults = [], help = new Set(), types = new Map(), seen = new Set(), closed = new Set();
  let family = null;
  if (!text.endsWith('\n')) faults.push('the last line has no end');
  const enter = (name) => {
    if (name !== family && closed.has(name)) faults.push(`${name} is in two places`);
    closed.add(family);
    family = name;
  };
  for (const line of text.split('\n').slice(0, -1)) {
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) || [];
    if (keyword) {
      enter(name);
      if (!NAME.test(name)) faults.push(`not a name: ${name}`);
      if (keyword === 'HELP' && help.has(name) || keyword === 'TYPE' && types.has(name)) faults.push(`${keyword} twice: ${name}`);
      if (keyword === 'HELP') help.add(name); else types.set(name, rest);
      continue;
    }
    const [, sample, labels = '', value] = SAMPLE.exec(line) || [];
    if (!sample) { faults.push(`not a line: ${line}`); continue; }
    const base = types.has(sample) ? sample : sample.replace(OF_FAMILY, ''), type = types.get(base);
    enter(base);
    if (!type || !help.has(base)) faults.push(`no TYPE or no HELP before ${line}`);
    if (type === 'counter' && !sample.endsWith('_total')) faults.push(`a counter must end in _total: ${sample}`);
    if (type !== 'counter' && sample.endsWith('_total')) faults.push(`only a counter may end in _total: ${sample}`);
    if (!sample.startsWith('orbited_')) faults.push(`foreign name: ${sample}`);
    if (seen.has(sample + labels)) faults.push(`twice: ${line}`);
    if (Number.isNaN(Number(value)) || type === 'counter' && Number(value) < 0) faults.push(`not a value: ${line}`);
    seen.add(sample + labels);
  }
  return faults;
}

module.exports = { lint };
