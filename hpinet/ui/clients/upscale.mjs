import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { Client } from "@gradio/client";

const [server, picture] = process.argv.slice(2); // for example http://127.0.0.1:7860 and photo.jpg

const client = await Client.connect(server);
const image = new File([await readFile(picture)], basename(picture));
const { data } = await client.predict("/upscale", { image, model: "T", scale: 4 });
const larger = await fetch(data[0].url);
await writeFile(data[0].orig_name, Buffer.from(await larger.arrayBuffer()));
console.log(data[0].orig_name);
process.exit(); // the client keeps listening otherwise
