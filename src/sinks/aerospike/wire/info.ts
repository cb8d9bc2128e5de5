import { frame, protocolFault } from './frames.js';
import { messageType, partitions } from './protocol.js';

/** Where a node listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
  /** The name its certificate is held against, where that is not the host's. */
  readonly tlsName?: string | undefined;
}

/** Asks for values by their names. */
export function infoRequest(names: readonly string[]): Buffer {
  return frame(messageType.info, Buffer.from(names.map((name) => `${name}\n`).join('')));
}

/** Values by name, as the server told them. A name it does not know comes with a text that begins with ERROR. */
export function readInfo(body: Buffer): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of body.toString('latin1').split('\n')) {
    const tab = line.indexOf('\t');
    if (tab >= 0) values.set(line.slice(0, tab), line.slice(tab + 1));
    else if (line !== '') values.set(line, '');
  }
  return values;
}

/** @throws SluiceError `protocol-fault` when the value is missing or no whole number. */
export function infoNumber(values: ReadonlyMap<string, string>, name: string): number {
  const text = values.get(name) ?? '';
  if (!/^-?\d{1,15}$/.test(text))
    throw protocolFault(`"${name}" is ${JSON.stringify(text.slice(0, 100))}, not a number`);
  return Number(text);
}

/** A node as another knows it. */
export interface Peer {
  readonly name: string;
  readonly addresses: readonly Address[];
}

/**
 * Reads `generation,default port,[[node name,TLS name,[host:port,...]],...]`. IPv6 hosts stand in brackets; a port that is
 * not told is the default one.
 * @throws SluiceError `protocol-fault`.
 */
export function readPeers(text: string): { readonly generation: number; readonly peers: readonly Peer[] } {
  const [, generation, port, list] = /^(-?\d{1,15}),(\d*),(\[.*\])$/s.exec(text) ?? [];
  if (generation === undefined || list === undefined) throw peersFault(text);
  const reader = new ListReader(list, text);
  const nodes = reader.list();
  const peers = nodes.map((node): Peer => {
    if (!Array.isArray(node)) throw peersFault(text);
    const [name, tlsName, hosts] = node;
    if (typeof name !== 'string' || typeof tlsName !== 'string' || !Array.isArray(hosts)) throw peersFault(text);
    const addresses = hosts.map((host) => {
      if (typeof host !== 'string') throw peersFault(text);
      return { ...readHost(host, Number(port), text), ...(tlsName !== '' && { tlsName }) };
    });
    return { name, addresses };
  });
  return { generation: Number(generation), peers };
}

function readHost(host: string, defaultPort: number, text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(host);
  const name = match?.[1] ?? match?.[2];
  if (name === undefined) throw peersFault(text);
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (port < 1 || port > 65_535) throw peersFault(text);
  return { host: name, port };
}

function peersFault(text: string): Error {
  return protocolFault(`the list of peers ${JSON.stringify(text.slice(0, 200))}`);
}

type Item = string | Item[];

/** Nodes, each a list of which the last item is the list of its hosts; in brackets, with commas between. */
class ListReader {
  readonly #list: string;
  readonly #text: string;
  #at = 0;

  constructor(list: string, text: string) {
    this.#list = list;
    this.#text = text;
  }

  list(depth = 0): Item[] {
    if (this.#list[this.#at] !== '[') throw peersFault(this.#text);
    this.#at += 1;
    const items: Item[] = [];
    if (this.#list[this.#at] === ']') {
      this.#at += 1;
      return items;
    }
    for (;;) {
      items.push(this.#item(depth));
      const end = this.#list[this.#at++];
      if (end === ']') return items;
      if (end !== ',') throw peersFault(this.#text);
    }
  }

  #item(depth: number): Item {
    if (depth < 2 && this.#list[this.#at] === '[') return this.list(depth + 1);
    // Among hosts, a bracket begins an IPv6 address.
    const word = /(?:\[[^\]]*\])?[^,[\]]*/y;
    word.lastIndex = this.#at;
    const [found = ''] = word.exec(this.#list) ?? [];
    this.#at += found.length;
    return found;
  }
}

/** The partitions of one namespace that a node is master of. */
export interface Mastered {
  /** Raised when partitions change hands under strong consistency; 0 otherwise. */
  readonly regime: number;
  /** A bit for each partition, the first one the highest of the first byte. */
  readonly bitmap: Buffer;
}

/**
 * Reads the answer to `replicas`: `namespace:regime,replica count,bitmap,...;...` with the bitmaps in base64, the master's
 * first. Gives the namespaces in it too.
 * @throws SluiceError `protocol-fault`.
 */
export function readReplicas(
  text: string,
  namespace: string,
): { readonly mastered: Mastered | undefined; readonly namespaces: readonly string[] } {
  const namespaces: string[] = [];
  let mastered: Mastered | undefined;
  for (const part of text.split(';')) {
    if (part === '') continue;
    const colon = part.indexOf(':');
    const [regime = '', count = '', bitmap = ''] = part.slice(colon + 1).split(',', 3);
    if (colon < 1 || !/^\d{1,15}$/.test(regime) || !/^\d{1,5}$/.test(count)) {
      throw protocolFault(`the partitions of a namespace: ${JSON.stringify(part.slice(0, 100))}`);
    }
    const name = part.slice(0, colon);
    namespaces.push(name);
    if (name !== namespace) continue;
    const bits = Buffer.from(bitmap, 'base64');
    if (bits.length !== partitions / 8)
      throw protocolFault(`a map of ${bits.length * 8} partitions instead of ${partitions}`);
    mastered = { regime: Number(regime), bitmap: bits };
  }
  return { mastered, namespaces };
}
