import { EventSource } from "eventsource";
import { WebSocket as PartySocket } from "partysocket";
import ReconnectingWebSocket from "reconnecting-websocket";
import { WebSocket } from "ws";

import type { JobEvent } from "../../src/schema/event.ts";
import { isTerminal } from "./api.ts";

/** A client that people use, following one job by the cursor of what it has, until it has the end. */
export type Reconnecting = (api: string, job: Followable) => Promise<JobEvent[]>;
type Followable = { job_id: string; events_url: string };

/** As they are tuned for: back within a moment, as the tests have no minute. */
const RETRY = { minReconnectionDelay: 50, maxReconnectionDelay: 500, connectionTimeout: 10_000 };

/** The clients by their names, unmodified. */
export const CLIENTS: Record<string, Reconnecting> = {
  eventsource: (api, { events_url }) =>
    new Promise((resolve, reject) => {
      const events: JobEvent[] = [];
      const source = new EventSource(`${api}${events_url}`);
      source.addEventListener("message", ({ data, lastEventId }) => {
        if (lastEventId !== "" && !String(data).startsWith('{"type":"connected"')) {
          events.push(JSON.parse(String(data)) as JobEvent);
        }
      });
      // It stops by itself once it is answered 204.
      source.addEventListener("error", () => {
        if (source.readyState !== EventSource.CLOSED) return;
        if (events.some(isTerminal)) resolve(events);
        else reject(new Error("the stream was refused"));
      });
    }),

  ws: async (api, { job_id }) => {
    const events: JobEvent[] = [];
    while (!events.some(isTerminal)) {
      await new Promise((resolve) => {
        const socket = new WebSocket(socketUrl(api, job_id, events));
        socket.on("message", (data: Buffer) => events.push(eventOf(String(data))));
        socket.on("error", () => {});
        socket.on("close", resolve);
      });
      await new Promise((resolve) => setTimeout(resolve, RETRY.minReconnectionDelay));
    }
    return events;
  },

  partysocket: (api, { job_id }) =>
    new Promise((resolve) => {
      const events: JobEvent[] = [];
      const url = () => socketUrl(api, job_id, events);
      const socket = new PartySocket(url, [], { ...RETRY, WebSocket });
      socket.addEventListener("message", ({ data }) => {
        events.push(eventOf(String(data)));
        if (!events.some(isTerminal)) return;
        socket.close();
        resolve(events);
      });
    }),

  "reconnecting-websocket on many jobs": (api, { job_id }) =>
    new Promise((resolve) => {
      const events: JobEvent[] = [];
      const url = `${api.replace(/^http/, "ws")}/ws`;
      const socket = new ReconnectingWebSocket(url, [], { ...RETRY, WebSocket });
      socket.addEventListener("open", () => {
        socket.send(JSON.stringify({ type: "subscribe", job_id, after: events.length }));
      });
      socket.addEventListener("message", ({ data }) => {
        if (!String(data).startsWith('{"type":"job_')) return;
        events.push(eventOf(String(data)));
        if (!events.some(isTerminal)) return;
        socket.close();
        resolve(events);
      });
    }),
};

function socketUrl(api: string, id: string, events: JobEvent[]): string {
  return `${api.replace(/^http/, "ws")}/ws/jobs/${id}?after=${events.length}`;
}

function eventOf(frame: string): JobEvent {
  return JSON.parse(frame.replace('{"type":"job_', '{"type":"')) as JobEvent;
}
