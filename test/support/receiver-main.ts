import { Receiver } from "./receiver.ts";

const receiver = await Receiver.start({ port: Number(process.env["PORT"] ?? 0) });
console.log(receiver.origin);
