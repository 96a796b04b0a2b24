/** The balancer as a process of its own, so that its accepting does not wait for the run's other work. Ends with its parent. */
import { Balancer } from './balancer.ts';

const balancer = new Balancer(JSON.parse(process.argv[2] ?? '[]'));
process.on('disconnect', () => process.exit(0));
process.send?.({ port: await balancer.listen() });
