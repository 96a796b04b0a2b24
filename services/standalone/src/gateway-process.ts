/*
 * The edge gateway as a child process of standalone: its own main.ts, which stops when standalone is gone in any way.
 */
import process from 'node:process';

process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
await import('@tailrace/edge/main');
