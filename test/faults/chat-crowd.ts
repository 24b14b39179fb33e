import { setTimeout } from "node:timers/promises";
import { expect, onTestFinished } from "vitest";
import type { Random } from "../support/random.ts";
import { type Agreement, CrowdMember, joinDeaf } from "./chat-crowd-member.ts";

/** How often the crowd acts, in milliseconds. */
const TICK_MS = 10;

export interface CrowdPlan {
  /** How many read and write; one more reads nothing. */
  readonly members: number;
  readonly messages: number;
  readonly messagesPerSecond: number;
  /** How often in a second the connection of somebody breaks, on average. */
  readonly breaksPerSecond: number;
}

/** What a crowd did. */
export interface CrowdReport {
  readonly joins: number;
  readonly deliveries: number;
  /** From the first text to the last delivery. */
  readonly seconds: number;
  /** From the first text to the last that was handed to a connection. */
  readonly secondsOfPosting: number;
}

/** People in one room, on several replicas, whose connections break. */
export class Crowd {
  readonly #plan: CrowdPlan;
  readonly #random: Random;
  readonly #ports: () => readonly number[];
  readonly #members: CrowdMember[];
  readonly #agreement: Agreement = { texts: [""], faults: [], onDelivered: () => this.#onDelivered() };
  #deliveries = 0;
  #onComplete: (() => void) | undefined;

  /** `ports` are those of the replicas that run. */
  constructor(plan: CrowdPlan, random: Random, ports: () => readonly number[]) {
    this.#plan = plan;
    this.#random = random;
    this.#ports = ports;
    const choosePort = () => this.#ports()[random.between(0, this.#ports().length - 1)];
    this.#members = Array.from(
      { length: plan.members },
      (_, index) => new CrowdMember(`m${index}`, choosePort, this.#agreement),
    );
  }

  /** Has them talk, and waits until everybody has heard everything. */
  async talk(): Promise<CrowdReport> {
    const ends = this.#ports().slice(0, 1).map(joinDeaf);
    onTestFinished(() => {
      for (const end of ends) end();
      for (const member of this.#members) member.leave();
    });
    for (const member of this.#members) member.join();
    const began = performance.now();
    await this.#postAll(began);
    const posted = performance.now();
    const completed = new Promise<void>((resolve) => {
      this.#onComplete = resolve;
    });
    this.#onDelivered();
    await completed;
    return {
      joins: this.#members.reduce((sum, { joins }) => sum + joins, 0),
      deliveries: this.#deliveries,
      seconds: (performance.now() - began) / 1000,
      secondsOfPosting: (posted - began) / 1000,
    };
  }

  /** Fails unless all have heard the same: every text that was posted, once. */
  expectAgreement(context: string): void {
    const { faults, texts } = this.#agreement;
    expect(faults.slice(0, 10), context).toEqual([]);
    const posted = Array.from({ length: this.#plan.messages }, (_, index) => this.#idOf(index));
    expect(texts.length - 1, context).toBe(posted.length);
    expect(new Set(texts.slice(1)), context).toEqual(new Set(posted));
    for (const { name, last, unacknowledged } of this.#members) {
      expect(last, `${name}, ${context}`).toBe(this.#plan.messages);
      expect([...unacknowledged], `${name}, ${context}`).toEqual([]);
    }
  }

  async #postAll(began: number): Promise<void> {
    const { messages, messagesPerSecond, breaksPerSecond } = this.#plan;
    for (let posted = 0; posted < messages; ) {
      const due = Math.min(messages, Math.ceil(((performance.now() - began) / 1000) * messagesPerSecond));
      for (; posted < due; posted++) this.#authorOf(posted).post(this.#idOf(posted));
      if (this.#random.next() < (breaksPerSecond * TICK_MS) / 1000) this.#somebody().break();
      await setTimeout(TICK_MS);
    }
  }

  /** Completes what is waited for when everybody has heard as many texts as were posted, or too many, or something wrong. */
  #onDelivered(): void {
    this.#deliveries++;
    if (this.#onComplete === undefined) return;
    const isComplete = this.#members.every(
      ({ last, unacknowledged }) => last >= this.#plan.messages && unacknowledged.size === 0,
    );
    if (isComplete || this.#agreement.faults.length > 0) this.#onComplete();
  }

  #authorOf(message: number): CrowdMember {
    return this.#members[message % this.#members.length] ?? this.#somebody();
  }

  #idOf(message: number): string {
    return `${this.#authorOf(message).name} ${message}`;
  }

  #somebody(): CrowdMember {
    const [first, ...others] = this.#members;
    if (first === undefined) throw new Error("there is nobody");
    return this.#random.pick([first, ...others]);
  }
}
