import { startProvider } from "./provider-server.ts";

const provider = await startProvider({ port: Number(process.env["PORT"] ?? 0) });
console.log(provider.url);
