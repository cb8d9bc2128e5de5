// @ts-check
/**
 * What the bundles take instead of the whole of undici: its Agent, which is all that we ask of it. Its fetch, WebSocket, cache and
 * mocks, loaded by its own index, are more than half of its code and a seventh of the time in which the command starts.
 */
import api from 'undici/lib/api/index.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';

// As its index does: agent.request and its like.
Object.assign(Dispatcher.prototype, api);

export { Agent };
