const millisecondsPerDay = 86_400_000;

/** Days asked for, each in the place of its number's last bits: rows of one load mostly lie within a few years. */
const places = 1024;
const days = new Float64Array(places).fill(Number.NaN);
const dayTexts: string[] = new Array(places).fill('');

/** Bytes of the longest: `271822-04-20T00:00:00.001Z BC`. */
export const dateBytes = 29;

/** 0001-01-01, in days since 1970. */
const firstDay = -719_162;

/**
 * Writes a moment (milliseconds since 1970, not NaN) as PostgreSQL reads it whatever the session's settings: ISO 8601 in UTC, years
 * of five digits and more without a sign, years before 1 with BC. Gives the place after it. Date.toISOString takes ten times as
 * long, and leaves a string behind.
 */
export function writeDate(time: number, into: Uint8Array, from: number): number {
  const day = Math.floor(time / millisecondsPerDay);
  const place = day & (places - 1);
  if (days[place] !== day) {
    days[place] = day;
    dayTexts[place] = dayText(new Date(day * millisecondsPerDay));
  }
  const date = dayTexts[place]!;
  let at = from;
  for (let i = 0; i < date.length; i++) into[at++] = date.charCodeAt(i);
  const clock = time - day * millisecondsPerDay;
  const seconds = (clock / 1_000) | 0;
  const minutes = (seconds / 60) | 0;
  const hours = (minutes / 60) | 0;
  into[at] = 84;
  twoDigits(hours, into, at + 1);
  into[at + 3] = 58;
  twoDigits(minutes - hours * 60, into, at + 4);
  into[at + 6] = 58;
  twoDigits(seconds - minutes * 60, into, at + 7);
  at += 9;
  const milliseconds = clock - seconds * 1_000;
  if (milliseconds !== 0) {
    const hundreds = (milliseconds / 100) | 0;
    into[at] = 46;
    into[at + 1] = 48 + hundreds;
    twoDigits(milliseconds - hundreds * 100, into, at + 2);
    at += 4;
  }
  into[at++] = 90;
  if (day < firstDay) for (let i = 0; i < era.length; i++) into[at++] = era.charCodeAt(i);
  return at;
}

const era = ' BC';

function twoDigits(value: number, into: Uint8Array, at: number): void {
  const tens = (value / 10) | 0;
  into[at] = 48 + tens;
  into[at + 1] = 48 + value - tens * 10;
}

const scratch = Buffer.alloc(dateBytes);

/** The same as a string. */
export function dateText(time: number): string {
  return scratch.toString('latin1', 0, writeDate(time, scratch, 0));
}

function dayText(date: Date): string {
  const year = date.getUTCFullYear();
  const [month, day] = [date.getUTCMonth() + 1, date.getUTCDate()].map((number) => String(number).padStart(2, '0'));
  return `${String(year > 0 ? year : 1 - year).padStart(4, '0')}-${month}-${day}`;
}
