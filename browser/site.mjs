// The world behind a resolver, as far as the warning's walk needs it: a DNS server for which every name is at one address, and the site there.
// Run within the network of that walk. A line of JSON for each request and each connection that nobody reads.

import { createSocket } from 'node:dgram';
import { createServer as httpServer } from 'node:http';
import { createServer as tcpServer } from 'node:net';

const [, , dns, site] = process.argv;
const tell = (what) => console.log(JSON.stringify(what));

const udp = createSocket('udp4');
udp.on('message', (question, from) => {
  const end = question.indexOf(0, 12) + 5;
  const isA = question.readUInt16BE(end - 4) === 1;
  const head = Buffer.from(question.subarray(0, end));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt32BE(isA ? 0x00010000 : 0, 6);
  head.writeUInt16BE(0, 10);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...site.split('.').map(Number)]);
  udp.send(isA ? Buffer.concat([head, record]) : head, from.port, from.address);
});
udp.bind(53, dns, () => {
  httpServer((request, response) => {
    tell({ host: request.headers.host, path: request.url, from: request.socket.remoteAddress });
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!DOCTYPE html><html lang="en"><title>the site</title><h1 id="site">the site itself: ${request.url}</h1>`);
  }).listen(80, site, () => {
    tcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (hello) => {
        tell({ hello: hello.length, from: socket.remoteAddress });
        socket.end();
      });
    }).listen(443, site, () => tell({ ready: true }));
  });
});
