import type { JSX } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { usePage } from './page.ts';
import { useAlarms } from './sdk.ts';
import { alarmChannels, claimsFrom } from './token-claims.ts';

/** Subscribes to all alarms that the token of the page may see, whatever the page shows. */
export function AlarmSources(): JSX.Element {
  const { live } = usePage();
  const token = live.config.value?.token ?? '';
  const channels = useMemo(() => alarmChannels(claimsFrom(token)), [token]);
  return (
    <>
      {channels.map((channel) => (
        <AlarmSource key={channel} channel={channel} />
      ))}
    </>
  );
}

function AlarmSource({ channel }: { channel: string }): null {
  const { alarms: list } = usePage();
  const { alarms, isLive } = useAlarms(channel, (refused) => list.refused(refused));
  useEffect(() => list.set(channel, { alarms, isLive }), [list, channel, alarms, isLive]);
  useEffect(() => () => list.delete(channel), [list, channel]);
  return null;
}
