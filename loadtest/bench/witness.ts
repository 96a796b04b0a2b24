/** A process that does nothing but measure how late it is: that is the machine, and not what the bench measures. */
import { answer } from './child.ts';
import { endLoopDelay, startLoopDelay } from './loop-delay.ts';

answer({ start: startLoopDelay, end: endLoopDelay });
