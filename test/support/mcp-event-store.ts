import { type EventStore } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { type JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';

type Send = (eventId: string, message: JSONRPCMessage) => Promise<void>;

/** Events in the order they were stored; ids are numbers, so that two within one millisecond keep their order. */
export class CountingEventStore implements EventStore {
  private readonly events: { readonly streamId: string; readonly message: JSONRPCMessage }[] = [];

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    this.events.push({ streamId, message });
    return String(this.events.length);
  }

  async getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    return this.events[Number(eventId) - 1]?.streamId;
  }

  async replayEventsAfter(lastEventId: string, { send }: { send: Send }): Promise<string> {
    const streamId = await this.getStreamIdForEventId(lastEventId);
    if (streamId === undefined) return '';
    for (let index = Number(lastEventId); index < this.events.length; index += 1) {
      const event = this.events[index];
      // A priming event is stored as an empty message; it is a cursor, not something to deliver.
      if (event?.streamId === streamId && 'jsonrpc' in event.message) await send(String(index + 1), event.message);
    }
    return streamId;
  }
}
