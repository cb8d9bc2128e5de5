/** `1234567` as `1,234,567`. */
export function count(number: number): string {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A count and its noun: `1 record`, `2,000 records`. */
export function counted(number: number, noun: string, plural = `${noun}s`): string {
  return `${count(number)} ${Math.round(number) === 1 ? noun : plural}`;
}

/** Bytes in decimal units, three digits: `999 B`, `4.12 MB`. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : digits(value)} ${units[unit]}`;
}

/** Seconds as people say them: `0.84 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  return coarse(seconds);
}

/** Seconds that are a guess: `5 s`, `2 min 05 s`, `1 h 02 min`. */
export function coarse(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

function digits(value: number): string {
  if (value < 9.995) return value.toFixed(2);
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
