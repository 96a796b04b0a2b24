// Generated from proto/ by scripts/generate.ts. Do not edit.
import type $protobuf from "protobufjs/minimal.js";

/** Namespace tailrace. */
export namespace tailrace {

    /** Namespace v1. */
    namespace v1 {

        /** AlarmState enum. */
        enum AlarmState {

            /** ALARM_STATE_UNSPECIFIED value */
            ALARM_STATE_UNSPECIFIED = 0,

            /** ALARM_STATE_NORMAL value */
            ALARM_STATE_NORMAL = 1,

            /** ALARM_STATE_UNACKNOWLEDGED value */
            ALARM_STATE_UNACKNOWLEDGED = 2,

            /** ALARM_STATE_ACKNOWLEDGED value */
            ALARM_STATE_ACKNOWLEDGED = 3,

            /** ALARM_STATE_RETURNED_UNACKNOWLEDGED value */
            ALARM_STATE_RETURNED_UNACKNOWLEDGED = 4,

            /** ALARM_STATE_LATCHED value */
            ALARM_STATE_LATCHED = 5,

            /** ALARM_STATE_SHELVED value */
            ALARM_STATE_SHELVED = 6,

            /** ALARM_STATE_SUPPRESSED value */
            ALARM_STATE_SUPPRESSED = 7,

            /** ALARM_STATE_OUT_OF_SERVICE value */
            ALARM_STATE_OUT_OF_SERVICE = 8
        }

        /** AlarmCause enum. */
        enum AlarmCause {

            /** ALARM_CAUSE_UNSPECIFIED value */
            ALARM_CAUSE_UNSPECIFIED = 0,

            /** ALARM_CAUSE_RAISED value */
            ALARM_CAUSE_RAISED = 1,

            /** ALARM_CAUSE_LIMIT_CHANGED value */
            ALARM_CAUSE_LIMIT_CHANGED = 2,

            /** ALARM_CAUSE_RETURNED value */
            ALARM_CAUSE_RETURNED = 3,

            /** ALARM_CAUSE_ACKNOWLEDGED value */
            ALARM_CAUSE_ACKNOWLEDGED = 4,

            /** ALARM_CAUSE_RESET value */
            ALARM_CAUSE_RESET = 5,

            /** ALARM_CAUSE_SHELVED value */
            ALARM_CAUSE_SHELVED = 6,

            /** ALARM_CAUSE_UNSHELVED value */
            ALARM_CAUSE_UNSHELVED = 7,

            /** ALARM_CAUSE_SHELF_EXPIRED value */
            ALARM_CAUSE_SHELF_EXPIRED = 8,

            /** ALARM_CAUSE_SUPPRESSED value */
            ALARM_CAUSE_SUPPRESSED = 9,

            /** ALARM_CAUSE_UNSUPPRESSED value */
            ALARM_CAUSE_UNSUPPRESSED = 10,

            /** ALARM_CAUSE_REMOVED_FROM_SERVICE value */
            ALARM_CAUSE_REMOVED_FROM_SERVICE = 11,

            /** ALARM_CAUSE_RETURNED_TO_SERVICE value */
            ALARM_CAUSE_RETURNED_TO_SERVICE = 12,

            /** ALARM_CAUSE_REALARMED value */
            ALARM_CAUSE_REALARMED = 13,

            /** ALARM_CAUSE_ESCALATED value */
            ALARM_CAUSE_ESCALATED = 14,

            /** ALARM_CAUSE_RULE_CHANGED value */
            ALARM_CAUSE_RULE_CHANGED = 15
        }

        /**
         * Properties of an AlarmReading.
         * @deprecated Use tailrace.v1.AlarmReading.$Properties instead.
         */
        interface IAlarmReading extends tailrace.v1.AlarmReading.$Properties {
        }

        /** Represents an AlarmReading. */
        class AlarmReading {

            /**
             * Constructs a new AlarmReading.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.AlarmReading.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AlarmReading tag. */
            tag: string;

            /** AlarmReading value. */
            value?: (tailrace.v1.CommandValue.$Properties|null);

            /** AlarmReading unit. */
            unit: string;

            /** AlarmReading time. */
            time: number;

            /**
             * Encodes the specified AlarmReading message. Does not implicitly {@link tailrace.v1.AlarmReading.verify|verify} messages.
             * @param message AlarmReading message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.AlarmReading.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AlarmReading message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.AlarmReading & tailrace.v1.AlarmReading.$Shape} AlarmReading
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.AlarmReading & tailrace.v1.AlarmReading.$Shape;
        }

        namespace AlarmReading {

            /** Properties of an AlarmReading. */
            interface $Properties {

                /** AlarmReading tag */
                tag?: (string|null);

                /** AlarmReading value */
                value?: (tailrace.v1.CommandValue.$Properties|null);

                /** AlarmReading unit */
                unit?: (string|null);

                /** AlarmReading time */
                time?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an AlarmReading. */
            type $Shape = {
              tag?: string|null;
              value?: tailrace.v1.CommandValue.$Shape|null;
              unit?: string|null;
              time?: number|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of an AlarmTransition.
         * @deprecated Use tailrace.v1.AlarmTransition.$Properties instead.
         */
        interface IAlarmTransition extends tailrace.v1.AlarmTransition.$Properties {
        }

        /** Represents an AlarmTransition. */
        class AlarmTransition {

            /**
             * Constructs a new AlarmTransition.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.AlarmTransition.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AlarmTransition id. */
            id: string;

            /** AlarmTransition alarm. */
            alarm: string;

            /** AlarmTransition rule. */
            rule: string;

            /** AlarmTransition ruleVersion. */
            ruleVersion: number;

            /** AlarmTransition device. */
            device: string;

            /** AlarmTransition number. */
            number: number;

            /** AlarmTransition state. */
            state: tailrace.v1.AlarmState;

            /** AlarmTransition previous. */
            previous: tailrace.v1.AlarmState;

            /** AlarmTransition cause. */
            cause: tailrace.v1.AlarmCause;

            /** AlarmTransition limit. */
            limit: string;

            /** AlarmTransition priority. */
            priority: number;

            /** AlarmTransition alarmClass. */
            alarmClass: string;

            /** AlarmTransition time. */
            time: number;

            /** AlarmTransition activated. */
            activated: number;

            /** AlarmTransition epoch. */
            epoch: string;

            /** AlarmTransition seq. */
            seq?: (number|null);

            /** AlarmTransition tag. */
            tag: string;

            /** AlarmTransition value. */
            value?: (tailrace.v1.CommandValue.$Properties|null);

            /** AlarmTransition limitValue. */
            limitValue?: (number|null);

            /** AlarmTransition context. */
            context: tailrace.v1.AlarmReading.$Properties[];

            /** AlarmTransition by. */
            by: string;

            /** AlarmTransition note. */
            note: string;

            /** AlarmTransition until. */
            until?: (number|null);

            /** AlarmTransition firstOut. */
            firstOut: boolean;

            /** AlarmTransition message. */
            message: string;

            /** AlarmTransition action. */
            action: string;

            /** AlarmTransition owner. */
            owner: number;

            /** AlarmTransition point. */
            point: Uint8Array;

            /**
             * Encodes the specified AlarmTransition message. Does not implicitly {@link tailrace.v1.AlarmTransition.verify|verify} messages.
             * @param message AlarmTransition message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.AlarmTransition.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AlarmTransition message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.AlarmTransition & tailrace.v1.AlarmTransition.$Shape} AlarmTransition
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.AlarmTransition & tailrace.v1.AlarmTransition.$Shape;
        }

        namespace AlarmTransition {

            /** Properties of an AlarmTransition. */
            interface $Properties {

                /** AlarmTransition id */
                id?: (string|null);

                /** AlarmTransition alarm */
                alarm?: (string|null);

                /** AlarmTransition rule */
                rule?: (string|null);

                /** AlarmTransition ruleVersion */
                ruleVersion?: (number|null);

                /** AlarmTransition device */
                device?: (string|null);

                /** AlarmTransition number */
                number?: (number|null);

                /** AlarmTransition state */
                state?: (tailrace.v1.AlarmState|null);

                /** AlarmTransition previous */
                previous?: (tailrace.v1.AlarmState|null);

                /** AlarmTransition cause */
                cause?: (tailrace.v1.AlarmCause|null);

                /** AlarmTransition limit */
                limit?: (string|null);

                /** AlarmTransition priority */
                priority?: (number|null);

                /** AlarmTransition alarmClass */
                alarmClass?: (string|null);

                /** AlarmTransition time */
                time?: (number|null);

                /** AlarmTransition activated */
                activated?: (number|null);

                /** AlarmTransition epoch */
                epoch?: (string|null);

                /** AlarmTransition seq */
                seq?: (number|null);

                /** AlarmTransition tag */
                tag?: (string|null);

                /** AlarmTransition value */
                value?: (tailrace.v1.CommandValue.$Properties|null);

                /** AlarmTransition limitValue */
                limitValue?: (number|null);

                /** AlarmTransition context */
                context?: (tailrace.v1.AlarmReading.$Properties[]|null);

                /** AlarmTransition by */
                by?: (string|null);

                /** AlarmTransition note */
                note?: (string|null);

                /** AlarmTransition until */
                until?: (number|null);

                /** AlarmTransition firstOut */
                firstOut?: (boolean|null);

                /** AlarmTransition message */
                message?: (string|null);

                /** AlarmTransition action */
                action?: (string|null);

                /** AlarmTransition owner */
                owner?: (number|null);

                /** AlarmTransition point */
                point?: (Uint8Array|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an AlarmTransition. */
            type $Shape = {
              id?: string|null;
              alarm?: string|null;
              rule?: string|null;
              ruleVersion?: number|null;
              device?: string|null;
              number?: number|null;
              state?: tailrace.v1.AlarmState|null;
              previous?: tailrace.v1.AlarmState|null;
              cause?: tailrace.v1.AlarmCause|null;
              limit?: string|null;
              priority?: number|null;
              alarmClass?: string|null;
              time?: number|null;
              activated?: number|null;
              epoch?: string|null;
              seq?: number|null;
              tag?: string|null;
              value?: tailrace.v1.CommandValue.$Shape|null;
              limitValue?: number|null;
              context?: tailrace.v1.AlarmReading.$Shape[]|null;
              by?: string|null;
              note?: string|null;
              until?: number|null;
              firstOut?: boolean|null;
              message?: string|null;
              action?: string|null;
              owner?: number|null;
              point?: Uint8Array|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of an AlarmOwner.
         * @deprecated Use tailrace.v1.AlarmOwner.$Properties instead.
         */
        interface IAlarmOwner extends tailrace.v1.AlarmOwner.$Properties {
        }

        /** Represents an AlarmOwner. */
        class AlarmOwner {

            /**
             * Constructs a new AlarmOwner.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.AlarmOwner.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AlarmOwner node. */
            node: string;

            /** AlarmOwner process. */
            process: string;

            /** AlarmOwner generation. */
            generation: number;

            /** AlarmOwner epoch. */
            epoch: string;

            /** AlarmOwner atMs. */
            atMs: number;

            /**
             * Encodes the specified AlarmOwner message. Does not implicitly {@link tailrace.v1.AlarmOwner.verify|verify} messages.
             * @param message AlarmOwner message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.AlarmOwner.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AlarmOwner message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.AlarmOwner & tailrace.v1.AlarmOwner.$Shape} AlarmOwner
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.AlarmOwner & tailrace.v1.AlarmOwner.$Shape;
        }

        namespace AlarmOwner {

            /** Properties of an AlarmOwner. */
            interface $Properties {

                /** AlarmOwner node */
                node?: (string|null);

                /** AlarmOwner process */
                process?: (string|null);

                /** AlarmOwner generation */
                generation?: (number|null);

                /** AlarmOwner epoch */
                epoch?: (string|null);

                /** AlarmOwner atMs */
                atMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an AlarmOwner. */
            type $Shape = tailrace.v1.AlarmOwner.$Properties;
        }

        /**
         * Properties of an AlarmRate.
         * @deprecated Use tailrace.v1.AlarmRate.$Properties instead.
         */
        interface IAlarmRate extends tailrace.v1.AlarmRate.$Properties {
        }

        /** Represents an AlarmRate. */
        class AlarmRate {

            /**
             * Constructs a new AlarmRate.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.AlarmRate.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AlarmRate device. */
            device: string;

            /** AlarmRate raised. */
            raised: number;

            /** AlarmRate time. */
            time: number;

            /** AlarmRate counter. */
            counter: number;

            /** AlarmRate since. */
            since: number;

            /**
             * Encodes the specified AlarmRate message. Does not implicitly {@link tailrace.v1.AlarmRate.verify|verify} messages.
             * @param message AlarmRate message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.AlarmRate.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AlarmRate message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.AlarmRate & tailrace.v1.AlarmRate.$Shape} AlarmRate
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.AlarmRate & tailrace.v1.AlarmRate.$Shape;
        }

        namespace AlarmRate {

            /** Properties of an AlarmRate. */
            interface $Properties {

                /** AlarmRate device */
                device?: (string|null);

                /** AlarmRate raised */
                raised?: (number|null);

                /** AlarmRate time */
                time?: (number|null);

                /** AlarmRate counter */
                counter?: (number|null);

                /** AlarmRate since */
                since?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an AlarmRate. */
            type $Shape = tailrace.v1.AlarmRate.$Properties;
        }

        /** AlarmActionKind enum. */
        enum AlarmActionKind {

            /** ALARM_ACTION_KIND_UNSPECIFIED value */
            ALARM_ACTION_KIND_UNSPECIFIED = 0,

            /** ALARM_ACTION_KIND_ACKNOWLEDGE value */
            ALARM_ACTION_KIND_ACKNOWLEDGE = 1,

            /** ALARM_ACTION_KIND_SHELVE value */
            ALARM_ACTION_KIND_SHELVE = 2,

            /** ALARM_ACTION_KIND_UNSHELVE value */
            ALARM_ACTION_KIND_UNSHELVE = 3,

            /** ALARM_ACTION_KIND_RESET value */
            ALARM_ACTION_KIND_RESET = 4,

            /** ALARM_ACTION_KIND_REMOVE_FROM_SERVICE value */
            ALARM_ACTION_KIND_REMOVE_FROM_SERVICE = 5,

            /** ALARM_ACTION_KIND_RETURN_TO_SERVICE value */
            ALARM_ACTION_KIND_RETURN_TO_SERVICE = 6
        }

        /**
         * Properties of an AlarmAction.
         * @deprecated Use tailrace.v1.AlarmAction.$Properties instead.
         */
        interface IAlarmAction extends tailrace.v1.AlarmAction.$Properties {
        }

        /** Represents an AlarmAction. */
        class AlarmAction {

            /**
             * Constructs a new AlarmAction.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.AlarmAction.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AlarmAction id. */
            id: string;

            /** AlarmAction device. */
            device: string;

            /** AlarmAction rule. */
            rule: string;

            /** AlarmAction alarm. */
            alarm: string;

            /** AlarmAction number. */
            number: number;

            /** AlarmAction kind. */
            kind: tailrace.v1.AlarmActionKind;

            /** AlarmAction by. */
            by: string;

            /** AlarmAction note. */
            note: string;

            /** AlarmAction until. */
            until?: (number|null);

            /** AlarmAction time. */
            time: number;

            /**
             * Encodes the specified AlarmAction message. Does not implicitly {@link tailrace.v1.AlarmAction.verify|verify} messages.
             * @param message AlarmAction message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.AlarmAction.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AlarmAction message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.AlarmAction & tailrace.v1.AlarmAction.$Shape} AlarmAction
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.AlarmAction & tailrace.v1.AlarmAction.$Shape;
        }

        namespace AlarmAction {

            /** Properties of an AlarmAction. */
            interface $Properties {

                /** AlarmAction id */
                id?: (string|null);

                /** AlarmAction device */
                device?: (string|null);

                /** AlarmAction rule */
                rule?: (string|null);

                /** AlarmAction alarm */
                alarm?: (string|null);

                /** AlarmAction number */
                number?: (number|null);

                /** AlarmAction kind */
                kind?: (tailrace.v1.AlarmActionKind|null);

                /** AlarmAction by */
                by?: (string|null);

                /** AlarmAction note */
                note?: (string|null);

                /** AlarmAction until */
                until?: (number|null);

                /** AlarmAction time */
                time?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an AlarmAction. */
            type $Shape = tailrace.v1.AlarmAction.$Properties;
        }

        /**
         * Properties of an AlarmActionRefused.
         * @deprecated Use tailrace.v1.AlarmActionRefused.$Properties instead.
         */
        interface IAlarmActionRefused extends tailrace.v1.AlarmActionRefused.$Properties {
        }

        /** Represents an AlarmActionRefused. */
        class AlarmActionRefused {

            /**
             * Constructs a new AlarmActionRefused.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.AlarmActionRefused.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AlarmActionRefused action. */
            action: string;

            /** AlarmActionRefused device. */
            device: string;

            /** AlarmActionRefused rule. */
            rule: string;

            /** AlarmActionRefused code. */
            code: string;

            /** AlarmActionRefused message. */
            message: string;

            /** AlarmActionRefused owner. */
            owner: number;

            /**
             * Encodes the specified AlarmActionRefused message. Does not implicitly {@link tailrace.v1.AlarmActionRefused.verify|verify} messages.
             * @param message AlarmActionRefused message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.AlarmActionRefused.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AlarmActionRefused message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.AlarmActionRefused & tailrace.v1.AlarmActionRefused.$Shape} AlarmActionRefused
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.AlarmActionRefused & tailrace.v1.AlarmActionRefused.$Shape;
        }

        namespace AlarmActionRefused {

            /** Properties of an AlarmActionRefused. */
            interface $Properties {

                /** AlarmActionRefused action */
                action?: (string|null);

                /** AlarmActionRefused device */
                device?: (string|null);

                /** AlarmActionRefused rule */
                rule?: (string|null);

                /** AlarmActionRefused code */
                code?: (string|null);

                /** AlarmActionRefused message */
                message?: (string|null);

                /** AlarmActionRefused owner */
                owner?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an AlarmActionRefused. */
            type $Shape = tailrace.v1.AlarmActionRefused.$Properties;
        }

        /**
         * Properties of an AlarmCheckpoint.
         * @deprecated Use tailrace.v1.AlarmCheckpoint.$Properties instead.
         */
        interface IAlarmCheckpoint extends tailrace.v1.AlarmCheckpoint.$Properties {
        }

        /** Represents an AlarmCheckpoint. */
        class AlarmCheckpoint {

            /**
             * Constructs a new AlarmCheckpoint.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.AlarmCheckpoint.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AlarmCheckpoint epoch. */
            epoch: string;

            /** AlarmCheckpoint owner. */
            owner: number;

            /** AlarmCheckpoint telemetry. */
            telemetry: number;

            /** AlarmCheckpoint events. */
            events: number;

            /** AlarmCheckpoint state. */
            state: Uint8Array;

            /** AlarmCheckpoint transitions. */
            transitions: tailrace.v1.AlarmTransition.$Properties[];

            /** AlarmCheckpoint answeredMs. */
            answeredMs: number;

            /**
             * Encodes the specified AlarmCheckpoint message. Does not implicitly {@link tailrace.v1.AlarmCheckpoint.verify|verify} messages.
             * @param message AlarmCheckpoint message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.AlarmCheckpoint.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AlarmCheckpoint message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.AlarmCheckpoint & tailrace.v1.AlarmCheckpoint.$Shape} AlarmCheckpoint
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.AlarmCheckpoint & tailrace.v1.AlarmCheckpoint.$Shape;
        }

        namespace AlarmCheckpoint {

            /** Properties of an AlarmCheckpoint. */
            interface $Properties {

                /** AlarmCheckpoint epoch */
                epoch?: (string|null);

                /** AlarmCheckpoint owner */
                owner?: (number|null);

                /** AlarmCheckpoint telemetry */
                telemetry?: (number|null);

                /** AlarmCheckpoint events */
                events?: (number|null);

                /** AlarmCheckpoint state */
                state?: (Uint8Array|null);

                /** AlarmCheckpoint transitions */
                transitions?: (tailrace.v1.AlarmTransition.$Properties[]|null);

                /** AlarmCheckpoint answeredMs */
                answeredMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an AlarmCheckpoint. */
            type $Shape = {
              epoch?: string|null;
              owner?: number|null;
              telemetry?: number|null;
              events?: number|null;
              state?: Uint8Array|null;
              transitions?: tailrace.v1.AlarmTransition.$Shape[]|null;
              answeredMs?: number|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of a CommandRequest.
         * @deprecated Use tailrace.v1.CommandRequest.$Properties instead.
         */
        interface ICommandRequest extends tailrace.v1.CommandRequest.$Properties {
        }

        /** Represents a CommandRequest. */
        class CommandRequest {

            /**
             * Constructs a new CommandRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandRequest command. */
            command?: (tailrace.v1.DeviceCommand.$Properties|null);

            /** CommandRequest query. */
            query?: (tailrace.v1.CommandQuery.$Properties|null);

            /** CommandRequest cancel. */
            cancel?: (tailrace.v1.CommandCancel.$Properties|null);

            /** CommandRequest request. */
            request?: ("command"|"query"|"cancel");

            /**
             * Encodes the specified CommandRequest message. Does not implicitly {@link tailrace.v1.CommandRequest.verify|verify} messages.
             * @param message CommandRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandRequest & tailrace.v1.CommandRequest.$Shape} CommandRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandRequest & tailrace.v1.CommandRequest.$Shape;
        }

        namespace CommandRequest {

            /** Properties of a CommandRequest. */
            interface $Properties {

                /** CommandRequest command */
                command?: (tailrace.v1.DeviceCommand.$Properties|null);

                /** CommandRequest query */
                query?: (tailrace.v1.CommandQuery.$Properties|null);

                /** CommandRequest cancel */
                cancel?: (tailrace.v1.CommandCancel.$Properties|null);

                /** CommandRequest request */
                request?: ("command"|"query"|"cancel");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a CommandRequest. */
            type $Shape = {
              command?: tailrace.v1.DeviceCommand.$Shape|null;
              query?: tailrace.v1.CommandQuery.$Shape|null;
              cancel?: tailrace.v1.CommandCancel.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ request?: undefined; command?: null; query?: null; cancel?: null }|{ request?: "command"; command: tailrace.v1.DeviceCommand.$Shape; query?: null; cancel?: null }|{ request?: "query"; command?: null; query: tailrace.v1.CommandQuery.$Shape; cancel?: null }|{ request?: "cancel"; command?: null; query?: null; cancel: tailrace.v1.CommandCancel.$Shape })
            );
        }

        /**
         * Properties of a CommandQuery.
         * @deprecated Use tailrace.v1.CommandQuery.$Properties instead.
         */
        interface ICommandQuery extends tailrace.v1.CommandQuery.$Properties {
        }

        /** Represents a CommandQuery. */
        class CommandQuery {

            /**
             * Constructs a new CommandQuery.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandQuery.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandQuery id. */
            id: string;

            /** CommandQuery device. */
            device: string;

            /**
             * Encodes the specified CommandQuery message. Does not implicitly {@link tailrace.v1.CommandQuery.verify|verify} messages.
             * @param message CommandQuery message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandQuery.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandQuery message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandQuery & tailrace.v1.CommandQuery.$Shape} CommandQuery
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandQuery & tailrace.v1.CommandQuery.$Shape;
        }

        namespace CommandQuery {

            /** Properties of a CommandQuery. */
            interface $Properties {

                /** CommandQuery id */
                id?: (string|null);

                /** CommandQuery device */
                device?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a CommandQuery. */
            type $Shape = tailrace.v1.CommandQuery.$Properties;
        }

        /**
         * Properties of a CommandCancel.
         * @deprecated Use tailrace.v1.CommandCancel.$Properties instead.
         */
        interface ICommandCancel extends tailrace.v1.CommandCancel.$Properties {
        }

        /** Represents a CommandCancel. */
        class CommandCancel {

            /**
             * Constructs a new CommandCancel.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandCancel.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandCancel id. */
            id: string;

            /** CommandCancel device. */
            device: string;

            /**
             * Encodes the specified CommandCancel message. Does not implicitly {@link tailrace.v1.CommandCancel.verify|verify} messages.
             * @param message CommandCancel message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandCancel.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandCancel message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandCancel & tailrace.v1.CommandCancel.$Shape} CommandCancel
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandCancel & tailrace.v1.CommandCancel.$Shape;
        }

        namespace CommandCancel {

            /** Properties of a CommandCancel. */
            interface $Properties {

                /** CommandCancel id */
                id?: (string|null);

                /** CommandCancel device */
                device?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a CommandCancel. */
            type $Shape = tailrace.v1.CommandCancel.$Properties;
        }

        /**
         * Properties of a CommandValue.
         * @deprecated Use tailrace.v1.CommandValue.$Properties instead.
         */
        interface ICommandValue extends tailrace.v1.CommandValue.$Properties {
        }

        /** Represents a CommandValue. */
        class CommandValue {

            /**
             * Constructs a new CommandValue.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandValue.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandValue number. */
            number?: (number|null);

            /** CommandValue boolean. */
            boolean?: (boolean|null);

            /** CommandValue text. */
            text?: (string|null);

            /** CommandValue value. */
            value?: ("number"|"boolean"|"text");

            /**
             * Encodes the specified CommandValue message. Does not implicitly {@link tailrace.v1.CommandValue.verify|verify} messages.
             * @param message CommandValue message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandValue.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandValue message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandValue & tailrace.v1.CommandValue.$Shape} CommandValue
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandValue & tailrace.v1.CommandValue.$Shape;
        }

        namespace CommandValue {

            /** Properties of a CommandValue. */
            interface $Properties {

                /** CommandValue number */
                number?: (number|null);

                /** CommandValue boolean */
                boolean?: (boolean|null);

                /** CommandValue text */
                text?: (string|null);

                /** CommandValue value */
                value?: ("number"|"boolean"|"text");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a CommandValue. */
            type $Shape = {
              number?: number|null;
              boolean?: boolean|null;
              text?: string|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ value?: undefined; number?: null; boolean?: null; text?: null }|{ value?: "number"; number: number; boolean?: null; text?: null }|{ value?: "boolean"; number?: null; boolean: boolean; text?: null }|{ value?: "text"; number?: null; boolean?: null; text: string })
            );
        }

        /**
         * Properties of a DeviceCommand.
         * @deprecated Use tailrace.v1.DeviceCommand.$Properties instead.
         */
        interface IDeviceCommand extends tailrace.v1.DeviceCommand.$Properties {
        }

        /** Represents a DeviceCommand. */
        class DeviceCommand {

            /**
             * Constructs a new DeviceCommand.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.DeviceCommand.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** DeviceCommand id. */
            id: string;

            /** DeviceCommand device. */
            device: string;

            /** DeviceCommand name. */
            name: string;

            /** DeviceCommand params. */
            params: { [k: string]: tailrace.v1.CommandValue.$Properties };

            /** DeviceCommand qos. */
            qos: number;

            /** DeviceCommand deadline. */
            deadline: number;

            /** DeviceCommand issued. */
            issued: number;

            /** DeviceCommand fence. */
            fence: number;

            /** DeviceCommand session. */
            session: number;

            /** DeviceCommand subject. */
            subject: string;

            /** DeviceCommand traceparent. */
            traceparent: string;

            /** DeviceCommand via. */
            via: string;

            /** DeviceCommand foundSession. */
            foundSession: number;

            /**
             * Encodes the specified DeviceCommand message. Does not implicitly {@link tailrace.v1.DeviceCommand.verify|verify} messages.
             * @param message DeviceCommand message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.DeviceCommand.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a DeviceCommand message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.DeviceCommand & tailrace.v1.DeviceCommand.$Shape} DeviceCommand
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.DeviceCommand & tailrace.v1.DeviceCommand.$Shape;
        }

        namespace DeviceCommand {

            /** Properties of a DeviceCommand. */
            interface $Properties {

                /** DeviceCommand id */
                id?: (string|null);

                /** DeviceCommand device */
                device?: (string|null);

                /** DeviceCommand name */
                name?: (string|null);

                /** DeviceCommand params */
                params?: ({ [k: string]: tailrace.v1.CommandValue.$Properties }|null);

                /** DeviceCommand qos */
                qos?: (number|null);

                /** DeviceCommand deadline */
                deadline?: (number|null);

                /** DeviceCommand issued */
                issued?: (number|null);

                /** DeviceCommand fence */
                fence?: (number|null);

                /** DeviceCommand session */
                session?: (number|null);

                /** DeviceCommand subject */
                subject?: (string|null);

                /** DeviceCommand traceparent */
                traceparent?: (string|null);

                /** DeviceCommand via */
                via?: (string|null);

                /** DeviceCommand foundSession */
                foundSession?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a DeviceCommand. */
            type $Shape = {
              id?: string|null;
              device?: string|null;
              name?: string|null;
              params?: { [k: string]: tailrace.v1.CommandValue.$Shape }|null;
              qos?: number|null;
              deadline?: number|null;
              issued?: number|null;
              fence?: number|null;
              session?: number|null;
              subject?: string|null;
              traceparent?: string|null;
              via?: string|null;
              foundSession?: number|null;
              $unknowns?: Uint8Array[];
            };
        }

        /** CommandState enum. */
        enum CommandState {

            /** COMMAND_STATE_UNSPECIFIED value */
            COMMAND_STATE_UNSPECIFIED = 0,

            /** COMMAND_STATE_ACCEPTED value */
            COMMAND_STATE_ACCEPTED = 1,

            /** COMMAND_STATE_DELIVERED value */
            COMMAND_STATE_DELIVERED = 2,

            /** COMMAND_STATE_DONE value */
            COMMAND_STATE_DONE = 3,

            /** COMMAND_STATE_FAILED value */
            COMMAND_STATE_FAILED = 4,

            /** COMMAND_STATE_EXPIRED value */
            COMMAND_STATE_EXPIRED = 5,

            /** COMMAND_STATE_UNCONFIRMED value */
            COMMAND_STATE_UNCONFIRMED = 6
        }

        /** ConfirmedBy enum. */
        enum ConfirmedBy {

            /** CONFIRMED_BY_UNSPECIFIED value */
            CONFIRMED_BY_UNSPECIFIED = 0,

            /** CONFIRMED_BY_DEVICE value */
            CONFIRMED_BY_DEVICE = 1,

            /** CONFIRMED_BY_READ_BACK value */
            CONFIRMED_BY_READ_BACK = 2,

            /** CONFIRMED_BY_PROTOCOL value */
            CONFIRMED_BY_PROTOCOL = 3
        }

        /**
         * Properties of a CommandOutcome.
         * @deprecated Use tailrace.v1.CommandOutcome.$Properties instead.
         */
        interface ICommandOutcome extends tailrace.v1.CommandOutcome.$Properties {
        }

        /** Represents a CommandOutcome. */
        class CommandOutcome {

            /**
             * Constructs a new CommandOutcome.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandOutcome.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandOutcome id. */
            id: string;

            /** CommandOutcome device. */
            device: string;

            /** CommandOutcome state. */
            state: tailrace.v1.CommandState;

            /** CommandOutcome time. */
            time: number;

            /** CommandOutcome node. */
            node: string;

            /** CommandOutcome session. */
            session: number;

            /** CommandOutcome attempt. */
            attempt: number;

            /** CommandOutcome code. */
            code: string;

            /** CommandOutcome message. */
            message: string;

            /** CommandOutcome confirmedBy. */
            confirmedBy: tailrace.v1.ConfirmedBy;

            /** CommandOutcome before. */
            before?: (tailrace.v1.CommandValue.$Properties|null);

            /** CommandOutcome after. */
            after?: (tailrace.v1.CommandValue.$Properties|null);

            /** CommandOutcome holder. */
            holder: string;

            /**
             * Encodes the specified CommandOutcome message. Does not implicitly {@link tailrace.v1.CommandOutcome.verify|verify} messages.
             * @param message CommandOutcome message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandOutcome.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandOutcome message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandOutcome & tailrace.v1.CommandOutcome.$Shape} CommandOutcome
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandOutcome & tailrace.v1.CommandOutcome.$Shape;
        }

        namespace CommandOutcome {

            /** Properties of a CommandOutcome. */
            interface $Properties {

                /** CommandOutcome id */
                id?: (string|null);

                /** CommandOutcome device */
                device?: (string|null);

                /** CommandOutcome state */
                state?: (tailrace.v1.CommandState|null);

                /** CommandOutcome time */
                time?: (number|null);

                /** CommandOutcome node */
                node?: (string|null);

                /** CommandOutcome session */
                session?: (number|null);

                /** CommandOutcome attempt */
                attempt?: (number|null);

                /** CommandOutcome code */
                code?: (string|null);

                /** CommandOutcome message */
                message?: (string|null);

                /** CommandOutcome confirmedBy */
                confirmedBy?: (tailrace.v1.ConfirmedBy|null);

                /** CommandOutcome before */
                before?: (tailrace.v1.CommandValue.$Properties|null);

                /** CommandOutcome after */
                after?: (tailrace.v1.CommandValue.$Properties|null);

                /** CommandOutcome holder */
                holder?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a CommandOutcome. */
            type $Shape = {
              id?: string|null;
              device?: string|null;
              state?: tailrace.v1.CommandState|null;
              time?: number|null;
              node?: string|null;
              session?: number|null;
              attempt?: number|null;
              code?: string|null;
              message?: string|null;
              confirmedBy?: tailrace.v1.ConfirmedBy|null;
              before?: tailrace.v1.CommandValue.$Shape|null;
              after?: tailrace.v1.CommandValue.$Shape|null;
              holder?: string|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of a Requester.
         * @deprecated Use tailrace.v1.Requester.$Properties instead.
         */
        interface IRequester extends tailrace.v1.Requester.$Properties {
        }

        /** Represents a Requester. */
        class Requester {

            /**
             * Constructs a new Requester.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Requester.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Requester subject. */
            subject: string;

            /** Requester tokenId. */
            tokenId: string;

            /** Requester address. */
            address: string;

            /** Requester tenant. */
            tenant: string;

            /** Requester roles. */
            roles: string[];

            /** Requester command. */
            command: string[];

            /** Requester subscribe. */
            subscribe: string[];

            /**
             * Encodes the specified Requester message. Does not implicitly {@link tailrace.v1.Requester.verify|verify} messages.
             * @param message Requester message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Requester.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Requester message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Requester & tailrace.v1.Requester.$Shape} Requester
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Requester & tailrace.v1.Requester.$Shape;
        }

        namespace Requester {

            /** Properties of a Requester. */
            interface $Properties {

                /** Requester subject */
                subject?: (string|null);

                /** Requester tokenId */
                tokenId?: (string|null);

                /** Requester address */
                address?: (string|null);

                /** Requester tenant */
                tenant?: (string|null);

                /** Requester roles */
                roles?: (string[]|null);

                /** Requester command */
                command?: (string[]|null);

                /** Requester subscribe */
                subscribe?: (string[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Requester. */
            type $Shape = tailrace.v1.Requester.$Properties;
        }

        /**
         * Properties of a ControlRequest.
         * @deprecated Use tailrace.v1.ControlRequest.$Properties instead.
         */
        interface IControlRequest extends tailrace.v1.ControlRequest.$Properties {
        }

        /** Represents a ControlRequest. */
        class ControlRequest {

            /**
             * Constructs a new ControlRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.ControlRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ControlRequest requester. */
            requester?: (tailrace.v1.Requester.$Properties|null);

            /** ControlRequest traceparent. */
            traceparent: string;

            /** ControlRequest command. */
            command?: (tailrace.v1.CommandSubmission.$Properties|null);

            /** ControlRequest decision. */
            decision?: (tailrace.v1.CommandDecision.$Properties|null);

            /** ControlRequest lease. */
            lease?: (tailrace.v1.LeaseRequest.$Properties|null);

            /** ControlRequest alarm. */
            alarm?: (tailrace.v1.AlarmActionRequest.$Properties|null);

            /** ControlRequest request. */
            request?: ("command"|"decision"|"lease"|"alarm");

            /**
             * Encodes the specified ControlRequest message. Does not implicitly {@link tailrace.v1.ControlRequest.verify|verify} messages.
             * @param message ControlRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.ControlRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ControlRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.ControlRequest & tailrace.v1.ControlRequest.$Shape} ControlRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.ControlRequest & tailrace.v1.ControlRequest.$Shape;
        }

        namespace ControlRequest {

            /** Properties of a ControlRequest. */
            interface $Properties {

                /** ControlRequest requester */
                requester?: (tailrace.v1.Requester.$Properties|null);

                /** ControlRequest traceparent */
                traceparent?: (string|null);

                /** ControlRequest command */
                command?: (tailrace.v1.CommandSubmission.$Properties|null);

                /** ControlRequest decision */
                decision?: (tailrace.v1.CommandDecision.$Properties|null);

                /** ControlRequest lease */
                lease?: (tailrace.v1.LeaseRequest.$Properties|null);

                /** ControlRequest alarm */
                alarm?: (tailrace.v1.AlarmActionRequest.$Properties|null);

                /** ControlRequest request */
                request?: ("command"|"decision"|"lease"|"alarm");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a ControlRequest. */
            type $Shape = {
              requester?: tailrace.v1.Requester.$Shape|null;
              traceparent?: string|null;
              command?: tailrace.v1.CommandSubmission.$Shape|null;
              decision?: tailrace.v1.CommandDecision.$Shape|null;
              lease?: tailrace.v1.LeaseRequest.$Shape|null;
              alarm?: tailrace.v1.AlarmActionRequest.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ request?: undefined; command?: null; decision?: null; lease?: null; alarm?: null }|{ request?: "command"; command: tailrace.v1.CommandSubmission.$Shape; decision?: null; lease?: null; alarm?: null }|{ request?: "decision"; command?: null; decision: tailrace.v1.CommandDecision.$Shape; lease?: null; alarm?: null }|{ request?: "lease"; command?: null; decision?: null; lease: tailrace.v1.LeaseRequest.$Shape; alarm?: null }|{ request?: "alarm"; command?: null; decision?: null; lease?: null; alarm: tailrace.v1.AlarmActionRequest.$Shape })
            );
        }

        /**
         * Properties of a CommandSubmission.
         * @deprecated Use tailrace.v1.CommandSubmission.$Properties instead.
         */
        interface ICommandSubmission extends tailrace.v1.CommandSubmission.$Properties {
        }

        /** Represents a CommandSubmission. */
        class CommandSubmission {

            /**
             * Constructs a new CommandSubmission.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandSubmission.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandSubmission id. */
            id: string;

            /** CommandSubmission device. */
            device: string;

            /** CommandSubmission name. */
            name: string;

            /** CommandSubmission params. */
            params: { [k: string]: tailrace.v1.CommandValue.$Properties };

            /** CommandSubmission qos. */
            qos: number;

            /** CommandSubmission deadline. */
            deadline: number;

            /** CommandSubmission lease. */
            lease: number;

            /** CommandSubmission onlyIf. */
            onlyIf: string;

            /** CommandSubmission dryRun. */
            dryRun: boolean;

            /** CommandSubmission replaces. */
            replaces: boolean;

            /** CommandSubmission via. */
            via: string;

            /** CommandSubmission seen. */
            seen: tailrace.v1.SeenTag.$Properties[];

            /**
             * Encodes the specified CommandSubmission message. Does not implicitly {@link tailrace.v1.CommandSubmission.verify|verify} messages.
             * @param message CommandSubmission message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandSubmission.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandSubmission message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandSubmission & tailrace.v1.CommandSubmission.$Shape} CommandSubmission
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandSubmission & tailrace.v1.CommandSubmission.$Shape;
        }

        namespace CommandSubmission {

            /** Properties of a CommandSubmission. */
            interface $Properties {

                /** CommandSubmission id */
                id?: (string|null);

                /** CommandSubmission device */
                device?: (string|null);

                /** CommandSubmission name */
                name?: (string|null);

                /** CommandSubmission params */
                params?: ({ [k: string]: tailrace.v1.CommandValue.$Properties }|null);

                /** CommandSubmission qos */
                qos?: (number|null);

                /** CommandSubmission deadline */
                deadline?: (number|null);

                /** CommandSubmission lease */
                lease?: (number|null);

                /** CommandSubmission onlyIf */
                onlyIf?: (string|null);

                /** CommandSubmission dryRun */
                dryRun?: (boolean|null);

                /** CommandSubmission replaces */
                replaces?: (boolean|null);

                /** CommandSubmission via */
                via?: (string|null);

                /** CommandSubmission seen */
                seen?: (tailrace.v1.SeenTag.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a CommandSubmission. */
            type $Shape = {
              id?: string|null;
              device?: string|null;
              name?: string|null;
              params?: { [k: string]: tailrace.v1.CommandValue.$Shape }|null;
              qos?: number|null;
              deadline?: number|null;
              lease?: number|null;
              onlyIf?: string|null;
              dryRun?: boolean|null;
              replaces?: boolean|null;
              via?: string|null;
              seen?: tailrace.v1.SeenTag.$Shape[]|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of a SeenTag.
         * @deprecated Use tailrace.v1.SeenTag.$Properties instead.
         */
        interface ISeenTag extends tailrace.v1.SeenTag.$Properties {
        }

        /** Represents a SeenTag. */
        class SeenTag {

            /**
             * Constructs a new SeenTag.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.SeenTag.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SeenTag tag. */
            tag: string;

            /** SeenTag position. */
            position: number;

            /**
             * Encodes the specified SeenTag message. Does not implicitly {@link tailrace.v1.SeenTag.verify|verify} messages.
             * @param message SeenTag message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.SeenTag.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SeenTag message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.SeenTag & tailrace.v1.SeenTag.$Shape} SeenTag
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.SeenTag & tailrace.v1.SeenTag.$Shape;
        }

        namespace SeenTag {

            /** Properties of a SeenTag. */
            interface $Properties {

                /** SeenTag tag */
                tag?: (string|null);

                /** SeenTag position */
                position?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SeenTag. */
            type $Shape = tailrace.v1.SeenTag.$Properties;
        }

        /** CommandDecisionKind enum. */
        enum CommandDecisionKind {

            /** COMMAND_DECISION_KIND_UNSPECIFIED value */
            COMMAND_DECISION_KIND_UNSPECIFIED = 0,

            /** COMMAND_DECISION_KIND_CANCEL value */
            COMMAND_DECISION_KIND_CANCEL = 1,

            /** COMMAND_DECISION_KIND_CONFIRM value */
            COMMAND_DECISION_KIND_CONFIRM = 2
        }

        /**
         * Properties of a CommandDecision.
         * @deprecated Use tailrace.v1.CommandDecision.$Properties instead.
         */
        interface ICommandDecision extends tailrace.v1.CommandDecision.$Properties {
        }

        /** Represents a CommandDecision. */
        class CommandDecision {

            /**
             * Constructs a new CommandDecision.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandDecision.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandDecision id. */
            id: string;

            /** CommandDecision kind. */
            kind: tailrace.v1.CommandDecisionKind;

            /**
             * Encodes the specified CommandDecision message. Does not implicitly {@link tailrace.v1.CommandDecision.verify|verify} messages.
             * @param message CommandDecision message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandDecision.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandDecision message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandDecision & tailrace.v1.CommandDecision.$Shape} CommandDecision
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandDecision & tailrace.v1.CommandDecision.$Shape;
        }

        namespace CommandDecision {

            /** Properties of a CommandDecision. */
            interface $Properties {

                /** CommandDecision id */
                id?: (string|null);

                /** CommandDecision kind */
                kind?: (tailrace.v1.CommandDecisionKind|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a CommandDecision. */
            type $Shape = tailrace.v1.CommandDecision.$Properties;
        }

        /** LeaseAction enum. */
        enum LeaseAction {

            /** LEASE_ACTION_UNSPECIFIED value */
            LEASE_ACTION_UNSPECIFIED = 0,

            /** LEASE_ACTION_ACQUIRE value */
            LEASE_ACTION_ACQUIRE = 1,

            /** LEASE_ACTION_RENEW value */
            LEASE_ACTION_RENEW = 2,

            /** LEASE_ACTION_RELEASE value */
            LEASE_ACTION_RELEASE = 3,

            /** LEASE_ACTION_TAKE_OVER value */
            LEASE_ACTION_TAKE_OVER = 4
        }

        /**
         * Properties of a LeaseRequest.
         * @deprecated Use tailrace.v1.LeaseRequest.$Properties instead.
         */
        interface ILeaseRequest extends tailrace.v1.LeaseRequest.$Properties {
        }

        /** Represents a LeaseRequest. */
        class LeaseRequest {

            /**
             * Constructs a new LeaseRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.LeaseRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** LeaseRequest scope. */
            scope: string;

            /** LeaseRequest action. */
            action: tailrace.v1.LeaseAction;

            /** LeaseRequest forMs. */
            forMs: number;

            /** LeaseRequest token. */
            token: number;

            /**
             * Encodes the specified LeaseRequest message. Does not implicitly {@link tailrace.v1.LeaseRequest.verify|verify} messages.
             * @param message LeaseRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.LeaseRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a LeaseRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.LeaseRequest & tailrace.v1.LeaseRequest.$Shape} LeaseRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.LeaseRequest & tailrace.v1.LeaseRequest.$Shape;
        }

        namespace LeaseRequest {

            /** Properties of a LeaseRequest. */
            interface $Properties {

                /** LeaseRequest scope */
                scope?: (string|null);

                /** LeaseRequest action */
                action?: (tailrace.v1.LeaseAction|null);

                /** LeaseRequest forMs */
                forMs?: (number|null);

                /** LeaseRequest token */
                token?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a LeaseRequest. */
            type $Shape = tailrace.v1.LeaseRequest.$Properties;
        }

        /**
         * Properties of an AlarmActionRequest.
         * @deprecated Use tailrace.v1.AlarmActionRequest.$Properties instead.
         */
        interface IAlarmActionRequest extends tailrace.v1.AlarmActionRequest.$Properties {
        }

        /** Represents an AlarmActionRequest. */
        class AlarmActionRequest {

            /**
             * Constructs a new AlarmActionRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.AlarmActionRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AlarmActionRequest device. */
            device: string;

            /** AlarmActionRequest rule. */
            rule: string;

            /** AlarmActionRequest alarm. */
            alarm: string;

            /** AlarmActionRequest number. */
            number: number;

            /** AlarmActionRequest kind. */
            kind: string;

            /** AlarmActionRequest note. */
            note: string;

            /** AlarmActionRequest forMs. */
            forMs: number;

            /**
             * Encodes the specified AlarmActionRequest message. Does not implicitly {@link tailrace.v1.AlarmActionRequest.verify|verify} messages.
             * @param message AlarmActionRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.AlarmActionRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AlarmActionRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.AlarmActionRequest & tailrace.v1.AlarmActionRequest.$Shape} AlarmActionRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.AlarmActionRequest & tailrace.v1.AlarmActionRequest.$Shape;
        }

        namespace AlarmActionRequest {

            /** Properties of an AlarmActionRequest. */
            interface $Properties {

                /** AlarmActionRequest device */
                device?: (string|null);

                /** AlarmActionRequest rule */
                rule?: (string|null);

                /** AlarmActionRequest alarm */
                alarm?: (string|null);

                /** AlarmActionRequest number */
                number?: (number|null);

                /** AlarmActionRequest kind */
                kind?: (string|null);

                /** AlarmActionRequest note */
                note?: (string|null);

                /** AlarmActionRequest forMs */
                forMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an AlarmActionRequest. */
            type $Shape = tailrace.v1.AlarmActionRequest.$Properties;
        }

        /**
         * Properties of a ControlReply.
         * @deprecated Use tailrace.v1.ControlReply.$Properties instead.
         */
        interface IControlReply extends tailrace.v1.ControlReply.$Properties {
        }

        /** Represents a ControlReply. */
        class ControlReply {

            /**
             * Constructs a new ControlReply.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.ControlReply.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ControlReply command. */
            command?: (tailrace.v1.CommandTransition.$Properties|null);

            /** ControlReply lease. */
            lease?: (tailrace.v1.LeaseTransition.$Properties|null);

            /** ControlReply alarmAction. */
            alarmAction?: (string|null);

            /** ControlReply error. */
            error?: (tailrace.v1.ControlError.$Properties|null);

            /** ControlReply reply. */
            reply?: ("command"|"lease"|"alarmAction"|"error");

            /**
             * Encodes the specified ControlReply message. Does not implicitly {@link tailrace.v1.ControlReply.verify|verify} messages.
             * @param message ControlReply message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.ControlReply.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ControlReply message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.ControlReply & tailrace.v1.ControlReply.$Shape} ControlReply
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.ControlReply & tailrace.v1.ControlReply.$Shape;
        }

        namespace ControlReply {

            /** Properties of a ControlReply. */
            interface $Properties {

                /** ControlReply command */
                command?: (tailrace.v1.CommandTransition.$Properties|null);

                /** ControlReply lease */
                lease?: (tailrace.v1.LeaseTransition.$Properties|null);

                /** ControlReply alarmAction */
                alarmAction?: (string|null);

                /** ControlReply error */
                error?: (tailrace.v1.ControlError.$Properties|null);

                /** ControlReply reply */
                reply?: ("command"|"lease"|"alarmAction"|"error");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a ControlReply. */
            type $Shape = {
              command?: tailrace.v1.CommandTransition.$Shape|null;
              lease?: tailrace.v1.LeaseTransition.$Shape|null;
              alarmAction?: string|null;
              error?: tailrace.v1.ControlError.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ reply?: undefined; command?: null; lease?: null; alarmAction?: null; error?: null }|{ reply?: "command"; command: tailrace.v1.CommandTransition.$Shape; lease?: null; alarmAction?: null; error?: null }|{ reply?: "lease"; command?: null; lease: tailrace.v1.LeaseTransition.$Shape; alarmAction?: null; error?: null }|{ reply?: "alarmAction"; command?: null; lease?: null; alarmAction: string; error?: null }|{ reply?: "error"; command?: null; lease?: null; alarmAction?: null; error: tailrace.v1.ControlError.$Shape })
            );
        }

        /**
         * Properties of a ControlError.
         * @deprecated Use tailrace.v1.ControlError.$Properties instead.
         */
        interface IControlError extends tailrace.v1.ControlError.$Properties {
        }

        /** Represents a ControlError. */
        class ControlError {

            /**
             * Constructs a new ControlError.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.ControlError.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ControlError code. */
            code: string;

            /** ControlError message. */
            message: string;

            /** ControlError retryable. */
            retryable: boolean;

            /**
             * Encodes the specified ControlError message. Does not implicitly {@link tailrace.v1.ControlError.verify|verify} messages.
             * @param message ControlError message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.ControlError.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ControlError message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.ControlError & tailrace.v1.ControlError.$Shape} ControlError
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.ControlError & tailrace.v1.ControlError.$Shape;
        }

        namespace ControlError {

            /** Properties of a ControlError. */
            interface $Properties {

                /** ControlError code */
                code?: (string|null);

                /** ControlError message */
                message?: (string|null);

                /** ControlError retryable */
                retryable?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ControlError. */
            type $Shape = tailrace.v1.ControlError.$Properties;
        }

        /** CommandProgress enum. */
        enum CommandProgress {

            /** COMMAND_PROGRESS_UNSPECIFIED value */
            COMMAND_PROGRESS_UNSPECIFIED = 0,

            /** COMMAND_PROGRESS_ACCEPTED value */
            COMMAND_PROGRESS_ACCEPTED = 1,

            /** COMMAND_PROGRESS_QUEUED value */
            COMMAND_PROGRESS_QUEUED = 2,

            /** COMMAND_PROGRESS_SENT value */
            COMMAND_PROGRESS_SENT = 3,

            /** COMMAND_PROGRESS_DELIVERED value */
            COMMAND_PROGRESS_DELIVERED = 4,

            /** COMMAND_PROGRESS_DONE value */
            COMMAND_PROGRESS_DONE = 5,

            /** COMMAND_PROGRESS_FAILED value */
            COMMAND_PROGRESS_FAILED = 6,

            /** COMMAND_PROGRESS_EXPIRED value */
            COMMAND_PROGRESS_EXPIRED = 7,

            /** COMMAND_PROGRESS_CANCELED value */
            COMMAND_PROGRESS_CANCELED = 8,

            /** COMMAND_PROGRESS_UNCONFIRMED value */
            COMMAND_PROGRESS_UNCONFIRMED = 9
        }

        /**
         * Properties of a CommandTransition.
         * @deprecated Use tailrace.v1.CommandTransition.$Properties instead.
         */
        interface ICommandTransition extends tailrace.v1.CommandTransition.$Properties {
        }

        /** Represents a CommandTransition. */
        class CommandTransition {

            /**
             * Constructs a new CommandTransition.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandTransition.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandTransition id. */
            id: string;

            /** CommandTransition key. */
            key: string;

            /** CommandTransition device. */
            device: string;

            /** CommandTransition name. */
            name: string;

            /** CommandTransition params. */
            params: { [k: string]: tailrace.v1.CommandValue.$Properties };

            /** CommandTransition number. */
            number: number;

            /** CommandTransition state. */
            state: tailrace.v1.CommandProgress;

            /** CommandTransition time. */
            time: number;

            /** CommandTransition by. */
            by: string;

            /** CommandTransition code. */
            code: string;

            /** CommandTransition message. */
            message: string;

            /** CommandTransition confirmedBy. */
            confirmedBy: tailrace.v1.ConfirmedBy;

            /** CommandTransition before. */
            before?: (tailrace.v1.CommandValue.$Properties|null);

            /** CommandTransition after. */
            after?: (tailrace.v1.CommandValue.$Properties|null);

            /** CommandTransition deadline. */
            deadline: number;

            /** CommandTransition awaits. */
            awaits: string;

            /** CommandTransition approver. */
            approver: string;

            /** CommandTransition final. */
            final: boolean;

            /**
             * Encodes the specified CommandTransition message. Does not implicitly {@link tailrace.v1.CommandTransition.verify|verify} messages.
             * @param message CommandTransition message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandTransition.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandTransition message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandTransition & tailrace.v1.CommandTransition.$Shape} CommandTransition
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandTransition & tailrace.v1.CommandTransition.$Shape;
        }

        namespace CommandTransition {

            /** Properties of a CommandTransition. */
            interface $Properties {

                /** CommandTransition id */
                id?: (string|null);

                /** CommandTransition key */
                key?: (string|null);

                /** CommandTransition device */
                device?: (string|null);

                /** CommandTransition name */
                name?: (string|null);

                /** CommandTransition params */
                params?: ({ [k: string]: tailrace.v1.CommandValue.$Properties }|null);

                /** CommandTransition number */
                number?: (number|null);

                /** CommandTransition state */
                state?: (tailrace.v1.CommandProgress|null);

                /** CommandTransition time */
                time?: (number|null);

                /** CommandTransition by */
                by?: (string|null);

                /** CommandTransition code */
                code?: (string|null);

                /** CommandTransition message */
                message?: (string|null);

                /** CommandTransition confirmedBy */
                confirmedBy?: (tailrace.v1.ConfirmedBy|null);

                /** CommandTransition before */
                before?: (tailrace.v1.CommandValue.$Properties|null);

                /** CommandTransition after */
                after?: (tailrace.v1.CommandValue.$Properties|null);

                /** CommandTransition deadline */
                deadline?: (number|null);

                /** CommandTransition awaits */
                awaits?: (string|null);

                /** CommandTransition approver */
                approver?: (string|null);

                /** CommandTransition final */
                final?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a CommandTransition. */
            type $Shape = {
              id?: string|null;
              key?: string|null;
              device?: string|null;
              name?: string|null;
              params?: { [k: string]: tailrace.v1.CommandValue.$Shape }|null;
              number?: number|null;
              state?: tailrace.v1.CommandProgress|null;
              time?: number|null;
              by?: string|null;
              code?: string|null;
              message?: string|null;
              confirmedBy?: tailrace.v1.ConfirmedBy|null;
              before?: tailrace.v1.CommandValue.$Shape|null;
              after?: tailrace.v1.CommandValue.$Shape|null;
              deadline?: number|null;
              awaits?: string|null;
              approver?: string|null;
              final?: boolean|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of a LeaseTransition.
         * @deprecated Use tailrace.v1.LeaseTransition.$Properties instead.
         */
        interface ILeaseTransition extends tailrace.v1.LeaseTransition.$Properties {
        }

        /** Represents a LeaseTransition. */
        class LeaseTransition {

            /**
             * Constructs a new LeaseTransition.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.LeaseTransition.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** LeaseTransition scope. */
            scope: string;

            /** LeaseTransition token. */
            token: number;

            /** LeaseTransition holder. */
            holder: string;

            /** LeaseTransition until. */
            until: number;

            /** LeaseTransition action. */
            action: tailrace.v1.LeaseAction;

            /** LeaseTransition previous. */
            previous: string;

            /** LeaseTransition time. */
            time: number;

            /**
             * Encodes the specified LeaseTransition message. Does not implicitly {@link tailrace.v1.LeaseTransition.verify|verify} messages.
             * @param message LeaseTransition message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.LeaseTransition.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a LeaseTransition message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.LeaseTransition & tailrace.v1.LeaseTransition.$Shape} LeaseTransition
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.LeaseTransition & tailrace.v1.LeaseTransition.$Shape;
        }

        namespace LeaseTransition {

            /** Properties of a LeaseTransition. */
            interface $Properties {

                /** LeaseTransition scope */
                scope?: (string|null);

                /** LeaseTransition token */
                token?: (number|null);

                /** LeaseTransition holder */
                holder?: (string|null);

                /** LeaseTransition until */
                until?: (number|null);

                /** LeaseTransition action */
                action?: (tailrace.v1.LeaseAction|null);

                /** LeaseTransition previous */
                previous?: (string|null);

                /** LeaseTransition time */
                time?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a LeaseTransition. */
            type $Shape = tailrace.v1.LeaseTransition.$Properties;
        }

        /**
         * Properties of a ClientMessage.
         * @deprecated Use tailrace.v1.ClientMessage.$Properties instead.
         */
        interface IClientMessage extends tailrace.v1.ClientMessage.$Properties {
        }

        /** Represents a ClientMessage. */
        class ClientMessage {

            /**
             * Constructs a new ClientMessage.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.ClientMessage.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ClientMessage auth. */
            auth?: (tailrace.v1.Auth.$Properties|null);

            /** ClientMessage subscribe. */
            subscribe?: (tailrace.v1.Subscribe.$Properties|null);

            /** ClientMessage unsubscribe. */
            unsubscribe?: (tailrace.v1.Unsubscribe.$Properties|null);

            /** ClientMessage ping. */
            ping?: (tailrace.v1.Ping.$Properties|null);

            /** ClientMessage pause. */
            pause?: (tailrace.v1.Pause.$Properties|null);

            /** ClientMessage resume. */
            resume?: (tailrace.v1.Resume.$Properties|null);

            /** ClientMessage command. */
            command?: (tailrace.v1.CommandCall.$Properties|null);

            /** ClientMessage cancel. */
            cancel?: (tailrace.v1.CommandReference.$Properties|null);

            /** ClientMessage confirm. */
            confirm?: (tailrace.v1.CommandReference.$Properties|null);

            /** ClientMessage acknowledge. */
            acknowledge?: (tailrace.v1.AlarmReference.$Properties|null);

            /** ClientMessage shelve. */
            shelve?: (tailrace.v1.Shelve.$Properties|null);

            /** ClientMessage unshelve. */
            unshelve?: (tailrace.v1.AlarmReference.$Properties|null);

            /** ClientMessage reset. */
            reset?: (tailrace.v1.AlarmReference.$Properties|null);

            /** ClientMessage removeFromService. */
            removeFromService?: (tailrace.v1.AlarmReference.$Properties|null);

            /** ClientMessage returnToService. */
            returnToService?: (tailrace.v1.AlarmReference.$Properties|null);

            /** ClientMessage lease. */
            lease?: (tailrace.v1.LeaseCall.$Properties|null);

            /** ClientMessage message. */
            message?: ("auth"|"subscribe"|"unsubscribe"|"ping"|"pause"|"resume"|"command"|"cancel"|"confirm"|"acknowledge"|"shelve"|"unshelve"|"reset"|"removeFromService"|"returnToService"|"lease");

            /**
             * Encodes the specified ClientMessage message. Does not implicitly {@link tailrace.v1.ClientMessage.verify|verify} messages.
             * @param message ClientMessage message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.ClientMessage.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ClientMessage message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.ClientMessage & tailrace.v1.ClientMessage.$Shape} ClientMessage
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.ClientMessage & tailrace.v1.ClientMessage.$Shape;
        }

        namespace ClientMessage {

            /** Properties of a ClientMessage. */
            interface $Properties {

                /** ClientMessage auth */
                auth?: (tailrace.v1.Auth.$Properties|null);

                /** ClientMessage subscribe */
                subscribe?: (tailrace.v1.Subscribe.$Properties|null);

                /** ClientMessage unsubscribe */
                unsubscribe?: (tailrace.v1.Unsubscribe.$Properties|null);

                /** ClientMessage ping */
                ping?: (tailrace.v1.Ping.$Properties|null);

                /** ClientMessage pause */
                pause?: (tailrace.v1.Pause.$Properties|null);

                /** ClientMessage resume */
                resume?: (tailrace.v1.Resume.$Properties|null);

                /** ClientMessage command */
                command?: (tailrace.v1.CommandCall.$Properties|null);

                /** ClientMessage cancel */
                cancel?: (tailrace.v1.CommandReference.$Properties|null);

                /** ClientMessage confirm */
                confirm?: (tailrace.v1.CommandReference.$Properties|null);

                /** ClientMessage acknowledge */
                acknowledge?: (tailrace.v1.AlarmReference.$Properties|null);

                /** ClientMessage shelve */
                shelve?: (tailrace.v1.Shelve.$Properties|null);

                /** ClientMessage unshelve */
                unshelve?: (tailrace.v1.AlarmReference.$Properties|null);

                /** ClientMessage reset */
                reset?: (tailrace.v1.AlarmReference.$Properties|null);

                /** ClientMessage removeFromService */
                removeFromService?: (tailrace.v1.AlarmReference.$Properties|null);

                /** ClientMessage returnToService */
                returnToService?: (tailrace.v1.AlarmReference.$Properties|null);

                /** ClientMessage lease */
                lease?: (tailrace.v1.LeaseCall.$Properties|null);

                /** ClientMessage message */
                message?: ("auth"|"subscribe"|"unsubscribe"|"ping"|"pause"|"resume"|"command"|"cancel"|"confirm"|"acknowledge"|"shelve"|"unshelve"|"reset"|"removeFromService"|"returnToService"|"lease");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a ClientMessage. */
            type $Shape = {
              auth?: tailrace.v1.Auth.$Shape|null;
              subscribe?: tailrace.v1.Subscribe.$Shape|null;
              unsubscribe?: tailrace.v1.Unsubscribe.$Shape|null;
              ping?: tailrace.v1.Ping.$Shape|null;
              pause?: tailrace.v1.Pause.$Shape|null;
              resume?: tailrace.v1.Resume.$Shape|null;
              command?: tailrace.v1.CommandCall.$Shape|null;
              cancel?: tailrace.v1.CommandReference.$Shape|null;
              confirm?: tailrace.v1.CommandReference.$Shape|null;
              acknowledge?: tailrace.v1.AlarmReference.$Shape|null;
              shelve?: tailrace.v1.Shelve.$Shape|null;
              unshelve?: tailrace.v1.AlarmReference.$Shape|null;
              reset?: tailrace.v1.AlarmReference.$Shape|null;
              removeFromService?: tailrace.v1.AlarmReference.$Shape|null;
              returnToService?: tailrace.v1.AlarmReference.$Shape|null;
              lease?: tailrace.v1.LeaseCall.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ message?: undefined; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "auth"; auth: tailrace.v1.Auth.$Shape; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "subscribe"; auth?: null; subscribe: tailrace.v1.Subscribe.$Shape; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "unsubscribe"; auth?: null; subscribe?: null; unsubscribe: tailrace.v1.Unsubscribe.$Shape; ping?: null; pause?: null; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "ping"; auth?: null; subscribe?: null; unsubscribe?: null; ping: tailrace.v1.Ping.$Shape; pause?: null; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "pause"; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause: tailrace.v1.Pause.$Shape; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "resume"; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume: tailrace.v1.Resume.$Shape; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "command"; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command: tailrace.v1.CommandCall.$Shape; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "cancel"; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command?: null; cancel: tailrace.v1.CommandReference.$Shape; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "confirm"; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command?: null; cancel?: null; confirm: tailrace.v1.CommandReference.$Shape; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "acknowledge"; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge: tailrace.v1.AlarmReference.$Shape; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "shelve"; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve: tailrace.v1.Shelve.$Shape; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "unshelve"; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve: tailrace.v1.AlarmReference.$Shape; reset?: null; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "reset"; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset: tailrace.v1.AlarmReference.$Shape; removeFromService?: null; returnToService?: null; lease?: null }|{ message?: "removeFromService"; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService: tailrace.v1.AlarmReference.$Shape; returnToService?: null; lease?: null }|{ message?: "returnToService"; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService: tailrace.v1.AlarmReference.$Shape; lease?: null }|{ message?: "lease"; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null; pause?: null; resume?: null; command?: null; cancel?: null; confirm?: null; acknowledge?: null; shelve?: null; unshelve?: null; reset?: null; removeFromService?: null; returnToService?: null; lease: tailrace.v1.LeaseCall.$Shape })
            );
        }

        /**
         * Properties of an Auth.
         * @deprecated Use tailrace.v1.Auth.$Properties instead.
         */
        interface IAuth extends tailrace.v1.Auth.$Properties {
        }

        /** Represents an Auth. */
        class Auth {

            /**
             * Constructs a new Auth.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Auth.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Auth token. */
            token: string;

            /**
             * Encodes the specified Auth message. Does not implicitly {@link tailrace.v1.Auth.verify|verify} messages.
             * @param message Auth message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Auth.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Auth message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Auth & tailrace.v1.Auth.$Shape} Auth
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Auth & tailrace.v1.Auth.$Shape;
        }

        namespace Auth {

            /** Properties of an Auth. */
            interface $Properties {

                /** Auth token */
                token?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Auth. */
            type $Shape = tailrace.v1.Auth.$Properties;
        }

        /**
         * Properties of a Subscribe.
         * @deprecated Use tailrace.v1.Subscribe.$Properties instead.
         */
        interface ISubscribe extends tailrace.v1.Subscribe.$Properties {
        }

        /** Represents a Subscribe. */
        class Subscribe {

            /**
             * Constructs a new Subscribe.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Subscribe.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Subscribe id. */
            id: string;

            /** Subscribe channel. */
            channel: string;

            /** Subscribe snapshot. */
            snapshot?: (boolean|null);

            /** Subscribe after. */
            after: string;

            /** Subscribe from. */
            from?: (number|null);

            /** Subscribe speed. */
            speed?: (number|null);

            /** Subscribe maxRate. */
            maxRate?: (number|null);

            /** Subscribe deadband. */
            deadband?: (tailrace.v1.Deadband.$Properties|null);

            /** Subscribe tags. */
            tags: string[];

            /** Subscribe delta. */
            delta?: (boolean|null);

            /** Subscribe align. */
            align?: (number|null);

            /** Subscribe alarms. */
            alarms?: (boolean|null);

            /** Subscribe commands. */
            commands?: (boolean|null);

            /**
             * Encodes the specified Subscribe message. Does not implicitly {@link tailrace.v1.Subscribe.verify|verify} messages.
             * @param message Subscribe message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Subscribe.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Subscribe message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Subscribe & tailrace.v1.Subscribe.$Shape} Subscribe
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Subscribe & tailrace.v1.Subscribe.$Shape;
        }

        namespace Subscribe {

            /** Properties of a Subscribe. */
            interface $Properties {

                /** Subscribe id */
                id?: (string|null);

                /** Subscribe channel */
                channel?: (string|null);

                /** Subscribe snapshot */
                snapshot?: (boolean|null);

                /** Subscribe after */
                after?: (string|null);

                /** Subscribe from */
                from?: (number|null);

                /** Subscribe speed */
                speed?: (number|null);

                /** Subscribe maxRate */
                maxRate?: (number|null);

                /** Subscribe deadband */
                deadband?: (tailrace.v1.Deadband.$Properties|null);

                /** Subscribe tags */
                tags?: (string[]|null);

                /** Subscribe delta */
                delta?: (boolean|null);

                /** Subscribe align */
                align?: (number|null);

                /** Subscribe alarms */
                alarms?: (boolean|null);

                /** Subscribe commands */
                commands?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Subscribe. */
            type $Shape = tailrace.v1.Subscribe.$Properties;
        }

        /**
         * Properties of a CommandCall.
         * @deprecated Use tailrace.v1.CommandCall.$Properties instead.
         */
        interface ICommandCall extends tailrace.v1.CommandCall.$Properties {
        }

        /** Represents a CommandCall. */
        class CommandCall {

            /**
             * Constructs a new CommandCall.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandCall.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandCall id. */
            id: string;

            /** CommandCall device. */
            device: string;

            /** CommandCall name. */
            name: string;

            /** CommandCall params. */
            params: { [k: string]: tailrace.v1.CommandValue.$Properties };

            /** CommandCall qos. */
            qos?: (number|null);

            /** CommandCall deadline. */
            deadline: number;

            /** CommandCall lease. */
            lease: number;

            /** CommandCall onlyIf. */
            onlyIf: string;

            /** CommandCall dryRun. */
            dryRun: boolean;

            /** CommandCall seen. */
            seen: tailrace.v1.SeenTag.$Properties[];

            /** CommandCall traceparent. */
            traceparent: string;

            /**
             * Encodes the specified CommandCall message. Does not implicitly {@link tailrace.v1.CommandCall.verify|verify} messages.
             * @param message CommandCall message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandCall.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandCall message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandCall & tailrace.v1.CommandCall.$Shape} CommandCall
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandCall & tailrace.v1.CommandCall.$Shape;
        }

        namespace CommandCall {

            /** Properties of a CommandCall. */
            interface $Properties {

                /** CommandCall id */
                id?: (string|null);

                /** CommandCall device */
                device?: (string|null);

                /** CommandCall name */
                name?: (string|null);

                /** CommandCall params */
                params?: ({ [k: string]: tailrace.v1.CommandValue.$Properties }|null);

                /** CommandCall qos */
                qos?: (number|null);

                /** CommandCall deadline */
                deadline?: (number|null);

                /** CommandCall lease */
                lease?: (number|null);

                /** CommandCall onlyIf */
                onlyIf?: (string|null);

                /** CommandCall dryRun */
                dryRun?: (boolean|null);

                /** CommandCall seen */
                seen?: (tailrace.v1.SeenTag.$Properties[]|null);

                /** CommandCall traceparent */
                traceparent?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a CommandCall. */
            type $Shape = {
              id?: string|null;
              device?: string|null;
              name?: string|null;
              params?: { [k: string]: tailrace.v1.CommandValue.$Shape }|null;
              qos?: number|null;
              deadline?: number|null;
              lease?: number|null;
              onlyIf?: string|null;
              dryRun?: boolean|null;
              seen?: tailrace.v1.SeenTag.$Shape[]|null;
              traceparent?: string|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of a CommandReference.
         * @deprecated Use tailrace.v1.CommandReference.$Properties instead.
         */
        interface ICommandReference extends tailrace.v1.CommandReference.$Properties {
        }

        /** Represents a CommandReference. */
        class CommandReference {

            /**
             * Constructs a new CommandReference.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandReference.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandReference id. */
            id: string;

            /** CommandReference command. */
            command: string;

            /**
             * Encodes the specified CommandReference message. Does not implicitly {@link tailrace.v1.CommandReference.verify|verify} messages.
             * @param message CommandReference message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandReference.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandReference message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandReference & tailrace.v1.CommandReference.$Shape} CommandReference
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandReference & tailrace.v1.CommandReference.$Shape;
        }

        namespace CommandReference {

            /** Properties of a CommandReference. */
            interface $Properties {

                /** CommandReference id */
                id?: (string|null);

                /** CommandReference command */
                command?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a CommandReference. */
            type $Shape = tailrace.v1.CommandReference.$Properties;
        }

        /**
         * Properties of an AlarmReference.
         * @deprecated Use tailrace.v1.AlarmReference.$Properties instead.
         */
        interface IAlarmReference extends tailrace.v1.AlarmReference.$Properties {
        }

        /** Represents an AlarmReference. */
        class AlarmReference {

            /**
             * Constructs a new AlarmReference.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.AlarmReference.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AlarmReference id. */
            id: string;

            /** AlarmReference device. */
            device: string;

            /** AlarmReference rule. */
            rule: string;

            /** AlarmReference alarm. */
            alarm: string;

            /** AlarmReference number. */
            number: number;

            /** AlarmReference note. */
            note: string;

            /**
             * Encodes the specified AlarmReference message. Does not implicitly {@link tailrace.v1.AlarmReference.verify|verify} messages.
             * @param message AlarmReference message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.AlarmReference.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AlarmReference message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.AlarmReference & tailrace.v1.AlarmReference.$Shape} AlarmReference
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.AlarmReference & tailrace.v1.AlarmReference.$Shape;
        }

        namespace AlarmReference {

            /** Properties of an AlarmReference. */
            interface $Properties {

                /** AlarmReference id */
                id?: (string|null);

                /** AlarmReference device */
                device?: (string|null);

                /** AlarmReference rule */
                rule?: (string|null);

                /** AlarmReference alarm */
                alarm?: (string|null);

                /** AlarmReference number */
                number?: (number|null);

                /** AlarmReference note */
                note?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an AlarmReference. */
            type $Shape = tailrace.v1.AlarmReference.$Properties;
        }

        /**
         * Properties of a Shelve.
         * @deprecated Use tailrace.v1.Shelve.$Properties instead.
         */
        interface IShelve extends tailrace.v1.Shelve.$Properties {
        }

        /** Represents a Shelve. */
        class Shelve {

            /**
             * Constructs a new Shelve.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Shelve.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Shelve id. */
            id: string;

            /** Shelve device. */
            device: string;

            /** Shelve rule. */
            rule: string;

            /** Shelve alarm. */
            alarm: string;

            /** Shelve number. */
            number: number;

            /** Shelve reason. */
            reason: string;

            /** Shelve forMs. */
            forMs: number;

            /**
             * Encodes the specified Shelve message. Does not implicitly {@link tailrace.v1.Shelve.verify|verify} messages.
             * @param message Shelve message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Shelve.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Shelve message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Shelve & tailrace.v1.Shelve.$Shape} Shelve
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Shelve & tailrace.v1.Shelve.$Shape;
        }

        namespace Shelve {

            /** Properties of a Shelve. */
            interface $Properties {

                /** Shelve id */
                id?: (string|null);

                /** Shelve device */
                device?: (string|null);

                /** Shelve rule */
                rule?: (string|null);

                /** Shelve alarm */
                alarm?: (string|null);

                /** Shelve number */
                number?: (number|null);

                /** Shelve reason */
                reason?: (string|null);

                /** Shelve forMs */
                forMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Shelve. */
            type $Shape = tailrace.v1.Shelve.$Properties;
        }

        /**
         * Properties of a LeaseCall.
         * @deprecated Use tailrace.v1.LeaseCall.$Properties instead.
         */
        interface ILeaseCall extends tailrace.v1.LeaseCall.$Properties {
        }

        /** Represents a LeaseCall. */
        class LeaseCall {

            /**
             * Constructs a new LeaseCall.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.LeaseCall.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** LeaseCall id. */
            id: string;

            /** LeaseCall scope. */
            scope: string;

            /** LeaseCall action. */
            action: tailrace.v1.LeaseAction;

            /** LeaseCall forMs. */
            forMs: number;

            /** LeaseCall token. */
            token: number;

            /**
             * Encodes the specified LeaseCall message. Does not implicitly {@link tailrace.v1.LeaseCall.verify|verify} messages.
             * @param message LeaseCall message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.LeaseCall.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a LeaseCall message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.LeaseCall & tailrace.v1.LeaseCall.$Shape} LeaseCall
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.LeaseCall & tailrace.v1.LeaseCall.$Shape;
        }

        namespace LeaseCall {

            /** Properties of a LeaseCall. */
            interface $Properties {

                /** LeaseCall id */
                id?: (string|null);

                /** LeaseCall scope */
                scope?: (string|null);

                /** LeaseCall action */
                action?: (tailrace.v1.LeaseAction|null);

                /** LeaseCall forMs */
                forMs?: (number|null);

                /** LeaseCall token */
                token?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a LeaseCall. */
            type $Shape = tailrace.v1.LeaseCall.$Properties;
        }

        /**
         * Properties of a Deadband.
         * @deprecated Use tailrace.v1.Deadband.$Properties instead.
         */
        interface IDeadband extends tailrace.v1.Deadband.$Properties {
        }

        /** Represents a Deadband. */
        class Deadband {

            /**
             * Constructs a new Deadband.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Deadband.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Deadband absolute. */
            absolute?: (number|null);

            /** Deadband percent. */
            percent?: (number|null);

            /**
             * Encodes the specified Deadband message. Does not implicitly {@link tailrace.v1.Deadband.verify|verify} messages.
             * @param message Deadband message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Deadband.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Deadband message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Deadband & tailrace.v1.Deadband.$Shape} Deadband
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Deadband & tailrace.v1.Deadband.$Shape;
        }

        namespace Deadband {

            /** Properties of a Deadband. */
            interface $Properties {

                /** Deadband absolute */
                absolute?: (number|null);

                /** Deadband percent */
                percent?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Deadband. */
            type $Shape = tailrace.v1.Deadband.$Properties;
        }

        /**
         * Properties of a Pause.
         * @deprecated Use tailrace.v1.Pause.$Properties instead.
         */
        interface IPause extends tailrace.v1.Pause.$Properties {
        }

        /** Represents a Pause. */
        class Pause {

            /**
             * Constructs a new Pause.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Pause.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Pause id. */
            id: string;

            /**
             * Encodes the specified Pause message. Does not implicitly {@link tailrace.v1.Pause.verify|verify} messages.
             * @param message Pause message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Pause.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Pause message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Pause & tailrace.v1.Pause.$Shape} Pause
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Pause & tailrace.v1.Pause.$Shape;
        }

        namespace Pause {

            /** Properties of a Pause. */
            interface $Properties {

                /** Pause id */
                id?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Pause. */
            type $Shape = tailrace.v1.Pause.$Properties;
        }

        /**
         * Properties of a Resume.
         * @deprecated Use tailrace.v1.Resume.$Properties instead.
         */
        interface IResume extends tailrace.v1.Resume.$Properties {
        }

        /** Represents a Resume. */
        class Resume {

            /**
             * Constructs a new Resume.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Resume.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Resume id. */
            id: string;

            /** Resume speed. */
            speed?: (number|null);

            /**
             * Encodes the specified Resume message. Does not implicitly {@link tailrace.v1.Resume.verify|verify} messages.
             * @param message Resume message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Resume.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Resume message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Resume & tailrace.v1.Resume.$Shape} Resume
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Resume & tailrace.v1.Resume.$Shape;
        }

        namespace Resume {

            /** Properties of a Resume. */
            interface $Properties {

                /** Resume id */
                id?: (string|null);

                /** Resume speed */
                speed?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Resume. */
            type $Shape = tailrace.v1.Resume.$Properties;
        }

        /**
         * Properties of an Unsubscribe.
         * @deprecated Use tailrace.v1.Unsubscribe.$Properties instead.
         */
        interface IUnsubscribe extends tailrace.v1.Unsubscribe.$Properties {
        }

        /** Represents an Unsubscribe. */
        class Unsubscribe {

            /**
             * Constructs a new Unsubscribe.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Unsubscribe.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Unsubscribe id. */
            id: string;

            /**
             * Encodes the specified Unsubscribe message. Does not implicitly {@link tailrace.v1.Unsubscribe.verify|verify} messages.
             * @param message Unsubscribe message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Unsubscribe.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Unsubscribe message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Unsubscribe & tailrace.v1.Unsubscribe.$Shape} Unsubscribe
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Unsubscribe & tailrace.v1.Unsubscribe.$Shape;
        }

        namespace Unsubscribe {

            /** Properties of an Unsubscribe. */
            interface $Properties {

                /** Unsubscribe id */
                id?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Unsubscribe. */
            type $Shape = tailrace.v1.Unsubscribe.$Properties;
        }

        /**
         * Properties of a Ping.
         * @deprecated Use tailrace.v1.Ping.$Properties instead.
         */
        interface IPing extends tailrace.v1.Ping.$Properties {
        }

        /** Represents a Ping. */
        class Ping {

            /**
             * Constructs a new Ping.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Ping.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Ping t. */
            t: number;

            /**
             * Encodes the specified Ping message. Does not implicitly {@link tailrace.v1.Ping.verify|verify} messages.
             * @param message Ping message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Ping.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Ping message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Ping & tailrace.v1.Ping.$Shape} Ping
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Ping & tailrace.v1.Ping.$Shape;
        }

        namespace Ping {

            /** Properties of a Ping. */
            interface $Properties {

                /** Ping t */
                t?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Ping. */
            type $Shape = tailrace.v1.Ping.$Properties;
        }

        /**
         * Properties of a ServerMessage.
         * @deprecated Use tailrace.v1.ServerMessage.$Properties instead.
         */
        interface IServerMessage extends tailrace.v1.ServerMessage.$Properties {
        }

        /** Represents a ServerMessage. */
        class ServerMessage {

            /**
             * Constructs a new ServerMessage.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.ServerMessage.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ServerMessage welcome. */
            welcome?: (tailrace.v1.Welcome.$Properties|null);

            /** ServerMessage subscribed. */
            subscribed?: (tailrace.v1.Subscribed.$Properties|null);

            /** ServerMessage data. */
            data?: (tailrace.v1.Data.$Properties|null);

            /** ServerMessage unsubscribed. */
            unsubscribed?: (tailrace.v1.Unsubscribed.$Properties|null);

            /** ServerMessage pong. */
            pong?: (tailrace.v1.Pong.$Properties|null);

            /** ServerMessage draining. */
            draining?: (tailrace.v1.Draining.$Properties|null);

            /** ServerMessage error. */
            error?: (tailrace.v1.Error.$Properties|null);

            /** ServerMessage moved. */
            moved?: (tailrace.v1.Moved.$Properties|null);

            /** ServerMessage live. */
            live?: (tailrace.v1.Live.$Properties|null);

            /** ServerMessage paused. */
            paused?: (tailrace.v1.Paused.$Properties|null);

            /** ServerMessage stale. */
            stale?: (tailrace.v1.Stale.$Properties|null);

            /** ServerMessage online. */
            online?: (tailrace.v1.Online.$Properties|null);

            /** ServerMessage offline. */
            offline?: (tailrace.v1.Offline.$Properties|null);

            /** ServerMessage interrupted. */
            interrupted?: (tailrace.v1.Interrupted.$Properties|null);

            /** ServerMessage restored. */
            restored?: (tailrace.v1.Restored.$Properties|null);

            /** ServerMessage cut. */
            cut?: (tailrace.v1.Cut.$Properties|null);

            /** ServerMessage expiring. */
            expiring?: (tailrace.v1.Expiring.$Properties|null);

            /** ServerMessage notice. */
            notice?: (tailrace.v1.Notice.$Properties|null);

            /** ServerMessage progress. */
            progress?: (tailrace.v1.Progress.$Properties|null);

            /** ServerMessage alarm. */
            alarm?: (tailrace.v1.AlarmEvents.$Properties|null);

            /** ServerMessage command. */
            command?: (tailrace.v1.CommandEvents.$Properties|null);

            /** ServerMessage lease. */
            lease?: (tailrace.v1.LeaseEvents.$Properties|null);

            /** ServerMessage accepted. */
            accepted?: (tailrace.v1.Accepted.$Properties|null);

            /** ServerMessage message. */
            message?: ("welcome"|"subscribed"|"data"|"unsubscribed"|"pong"|"draining"|"error"|"moved"|"live"|"paused"|"stale"|"online"|"offline"|"interrupted"|"restored"|"cut"|"expiring"|"notice"|"progress"|"alarm"|"command"|"lease"|"accepted");

            /**
             * Encodes the specified ServerMessage message. Does not implicitly {@link tailrace.v1.ServerMessage.verify|verify} messages.
             * @param message ServerMessage message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.ServerMessage.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ServerMessage message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.ServerMessage & tailrace.v1.ServerMessage.$Shape} ServerMessage
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.ServerMessage & tailrace.v1.ServerMessage.$Shape;
        }

        namespace ServerMessage {

            /** Properties of a ServerMessage. */
            interface $Properties {

                /** ServerMessage welcome */
                welcome?: (tailrace.v1.Welcome.$Properties|null);

                /** ServerMessage subscribed */
                subscribed?: (tailrace.v1.Subscribed.$Properties|null);

                /** ServerMessage data */
                data?: (tailrace.v1.Data.$Properties|null);

                /** ServerMessage unsubscribed */
                unsubscribed?: (tailrace.v1.Unsubscribed.$Properties|null);

                /** ServerMessage pong */
                pong?: (tailrace.v1.Pong.$Properties|null);

                /** ServerMessage draining */
                draining?: (tailrace.v1.Draining.$Properties|null);

                /** ServerMessage error */
                error?: (tailrace.v1.Error.$Properties|null);

                /** ServerMessage moved */
                moved?: (tailrace.v1.Moved.$Properties|null);

                /** ServerMessage live */
                live?: (tailrace.v1.Live.$Properties|null);

                /** ServerMessage paused */
                paused?: (tailrace.v1.Paused.$Properties|null);

                /** ServerMessage stale */
                stale?: (tailrace.v1.Stale.$Properties|null);

                /** ServerMessage online */
                online?: (tailrace.v1.Online.$Properties|null);

                /** ServerMessage offline */
                offline?: (tailrace.v1.Offline.$Properties|null);

                /** ServerMessage interrupted */
                interrupted?: (tailrace.v1.Interrupted.$Properties|null);

                /** ServerMessage restored */
                restored?: (tailrace.v1.Restored.$Properties|null);

                /** ServerMessage cut */
                cut?: (tailrace.v1.Cut.$Properties|null);

                /** ServerMessage expiring */
                expiring?: (tailrace.v1.Expiring.$Properties|null);

                /** ServerMessage notice */
                notice?: (tailrace.v1.Notice.$Properties|null);

                /** ServerMessage progress */
                progress?: (tailrace.v1.Progress.$Properties|null);

                /** ServerMessage alarm */
                alarm?: (tailrace.v1.AlarmEvents.$Properties|null);

                /** ServerMessage command */
                command?: (tailrace.v1.CommandEvents.$Properties|null);

                /** ServerMessage lease */
                lease?: (tailrace.v1.LeaseEvents.$Properties|null);

                /** ServerMessage accepted */
                accepted?: (tailrace.v1.Accepted.$Properties|null);

                /** ServerMessage message */
                message?: ("welcome"|"subscribed"|"data"|"unsubscribed"|"pong"|"draining"|"error"|"moved"|"live"|"paused"|"stale"|"online"|"offline"|"interrupted"|"restored"|"cut"|"expiring"|"notice"|"progress"|"alarm"|"command"|"lease"|"accepted");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a ServerMessage. */
            type $Shape = {
              welcome?: tailrace.v1.Welcome.$Shape|null;
              subscribed?: tailrace.v1.Subscribed.$Shape|null;
              data?: tailrace.v1.Data.$Shape|null;
              unsubscribed?: tailrace.v1.Unsubscribed.$Shape|null;
              pong?: tailrace.v1.Pong.$Shape|null;
              draining?: tailrace.v1.Draining.$Shape|null;
              error?: tailrace.v1.Error.$Shape|null;
              moved?: tailrace.v1.Moved.$Shape|null;
              live?: tailrace.v1.Live.$Shape|null;
              paused?: tailrace.v1.Paused.$Shape|null;
              stale?: tailrace.v1.Stale.$Shape|null;
              online?: tailrace.v1.Online.$Shape|null;
              offline?: tailrace.v1.Offline.$Shape|null;
              interrupted?: tailrace.v1.Interrupted.$Shape|null;
              restored?: tailrace.v1.Restored.$Shape|null;
              cut?: tailrace.v1.Cut.$Shape|null;
              expiring?: tailrace.v1.Expiring.$Shape|null;
              notice?: tailrace.v1.Notice.$Shape|null;
              progress?: tailrace.v1.Progress.$Shape|null;
              alarm?: tailrace.v1.AlarmEvents.$Shape|null;
              command?: tailrace.v1.CommandEvents.$Shape|null;
              lease?: tailrace.v1.LeaseEvents.$Shape|null;
              accepted?: tailrace.v1.Accepted.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ message?: undefined; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "welcome"; welcome: tailrace.v1.Welcome.$Shape; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "subscribed"; welcome?: null; subscribed: tailrace.v1.Subscribed.$Shape; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "data"; welcome?: null; subscribed?: null; data: tailrace.v1.Data.$Shape; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "unsubscribed"; welcome?: null; subscribed?: null; data?: null; unsubscribed: tailrace.v1.Unsubscribed.$Shape; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "pong"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong: tailrace.v1.Pong.$Shape; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "draining"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining: tailrace.v1.Draining.$Shape; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "error"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error: tailrace.v1.Error.$Shape; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "moved"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved: tailrace.v1.Moved.$Shape; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "live"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live: tailrace.v1.Live.$Shape; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "paused"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused: tailrace.v1.Paused.$Shape; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "stale"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale: tailrace.v1.Stale.$Shape; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "online"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online: tailrace.v1.Online.$Shape; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "offline"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline: tailrace.v1.Offline.$Shape; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "interrupted"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted: tailrace.v1.Interrupted.$Shape; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "restored"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored: tailrace.v1.Restored.$Shape; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "cut"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut: tailrace.v1.Cut.$Shape; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "expiring"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring: tailrace.v1.Expiring.$Shape; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "notice"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice: tailrace.v1.Notice.$Shape; progress?: null; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "progress"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress: tailrace.v1.Progress.$Shape; alarm?: null; command?: null; lease?: null; accepted?: null }|{ message?: "alarm"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm: tailrace.v1.AlarmEvents.$Shape; command?: null; lease?: null; accepted?: null }|{ message?: "command"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command: tailrace.v1.CommandEvents.$Shape; lease?: null; accepted?: null }|{ message?: "lease"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease: tailrace.v1.LeaseEvents.$Shape; accepted?: null }|{ message?: "accepted"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null; moved?: null; live?: null; paused?: null; stale?: null; online?: null; offline?: null; interrupted?: null; restored?: null; cut?: null; expiring?: null; notice?: null; progress?: null; alarm?: null; command?: null; lease?: null; accepted: tailrace.v1.Accepted.$Shape })
            );
        }

        /**
         * Properties of a Welcome.
         * @deprecated Use tailrace.v1.Welcome.$Properties instead.
         */
        interface IWelcome extends tailrace.v1.Welcome.$Properties {
        }

        /** Represents a Welcome. */
        class Welcome {

            /**
             * Constructs a new Welcome.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Welcome.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Welcome session. */
            session: string;

            /** Welcome node. */
            node: string;

            /** Welcome version. */
            version: string;

            /** Welcome heartbeatMs. */
            heartbeatMs: number;

            /** Welcome limits. */
            limits?: (tailrace.v1.Limits.$Properties|null);

            /**
             * Encodes the specified Welcome message. Does not implicitly {@link tailrace.v1.Welcome.verify|verify} messages.
             * @param message Welcome message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Welcome.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Welcome message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Welcome & tailrace.v1.Welcome.$Shape} Welcome
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Welcome & tailrace.v1.Welcome.$Shape;
        }

        namespace Welcome {

            /** Properties of a Welcome. */
            interface $Properties {

                /** Welcome session */
                session?: (string|null);

                /** Welcome node */
                node?: (string|null);

                /** Welcome version */
                version?: (string|null);

                /** Welcome heartbeatMs */
                heartbeatMs?: (number|null);

                /** Welcome limits */
                limits?: (tailrace.v1.Limits.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Welcome. */
            type $Shape = tailrace.v1.Welcome.$Properties;
        }

        /**
         * Properties of a Limits.
         * @deprecated Use tailrace.v1.Limits.$Properties instead.
         */
        interface ILimits extends tailrace.v1.Limits.$Properties {
        }

        /** Represents a Limits. */
        class Limits {

            /**
             * Constructs a new Limits.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Limits.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Limits messageBytesMax. */
            messageBytesMax: number;

            /** Limits subscriptionsMax. */
            subscriptionsMax: number;

            /**
             * Encodes the specified Limits message. Does not implicitly {@link tailrace.v1.Limits.verify|verify} messages.
             * @param message Limits message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Limits.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Limits message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Limits & tailrace.v1.Limits.$Shape} Limits
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Limits & tailrace.v1.Limits.$Shape;
        }

        namespace Limits {

            /** Properties of a Limits. */
            interface $Properties {

                /** Limits messageBytesMax */
                messageBytesMax?: (number|null);

                /** Limits subscriptionsMax */
                subscriptionsMax?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Limits. */
            type $Shape = tailrace.v1.Limits.$Properties;
        }

        /**
         * Properties of a Subscribed.
         * @deprecated Use tailrace.v1.Subscribed.$Properties instead.
         */
        interface ISubscribed extends tailrace.v1.Subscribed.$Properties {
        }

        /** Represents a Subscribed. */
        class Subscribed {

            /**
             * Constructs a new Subscribed.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Subscribed.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Subscribed id. */
            id: string;

            /** Subscribed view. */
            view: number;

            /** Subscribed channel. */
            channel: string;

            /** Subscribed epoch. */
            epoch: string;

            /** Subscribed position. */
            position: string;

            /** Subscribed snapshot. */
            snapshot: number;

            /** Subscribed recovered. */
            recovered?: (boolean|null);

            /** Subscribed missing. */
            missing: tailrace.v1.Missing.$Properties[];

            /**
             * Encodes the specified Subscribed message. Does not implicitly {@link tailrace.v1.Subscribed.verify|verify} messages.
             * @param message Subscribed message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Subscribed.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Subscribed message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Subscribed & tailrace.v1.Subscribed.$Shape} Subscribed
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Subscribed & tailrace.v1.Subscribed.$Shape;
        }

        namespace Subscribed {

            /** Properties of a Subscribed. */
            interface $Properties {

                /** Subscribed id */
                id?: (string|null);

                /** Subscribed view */
                view?: (number|null);

                /** Subscribed channel */
                channel?: (string|null);

                /** Subscribed epoch */
                epoch?: (string|null);

                /** Subscribed position */
                position?: (string|null);

                /** Subscribed snapshot */
                snapshot?: (number|null);

                /** Subscribed recovered */
                recovered?: (boolean|null);

                /** Subscribed missing */
                missing?: (tailrace.v1.Missing.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Subscribed. */
            type $Shape = tailrace.v1.Subscribed.$Properties;
        }

        /**
         * Properties of a Missing.
         * @deprecated Use tailrace.v1.Missing.$Properties instead.
         */
        interface IMissing extends tailrace.v1.Missing.$Properties {
        }

        /** Represents a Missing. */
        class Missing {

            /**
             * Constructs a new Missing.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Missing.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Missing partition. */
            partition: number;

            /** Missing from. */
            from: number;

            /** Missing to. */
            to: number;

            /** Missing reason. */
            reason: string;

            /**
             * Encodes the specified Missing message. Does not implicitly {@link tailrace.v1.Missing.verify|verify} messages.
             * @param message Missing message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Missing.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Missing message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Missing & tailrace.v1.Missing.$Shape} Missing
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Missing & tailrace.v1.Missing.$Shape;
        }

        namespace Missing {

            /** Properties of a Missing. */
            interface $Properties {

                /** Missing partition */
                partition?: (number|null);

                /** Missing from */
                from?: (number|null);

                /** Missing to */
                to?: (number|null);

                /** Missing reason */
                reason?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Missing. */
            type $Shape = tailrace.v1.Missing.$Properties;
        }

        /**
         * Properties of a Data.
         * @deprecated Use tailrace.v1.Data.$Properties instead.
         */
        interface IData extends tailrace.v1.Data.$Properties {
        }

        /** Represents a Data. */
        class Data {

            /**
             * Constructs a new Data.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Data.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Data view. */
            view: number;

            /** Data reports. */
            reports: tailrace.v1.Delivery.$Properties[];

            /** Data snapshot. */
            snapshot: boolean;

            /** Data skipped. */
            skipped: tailrace.v1.Skipped.$Properties[];

            /** Data replay. */
            replay: boolean;

            /** Data snapshotComplete. */
            snapshotComplete: boolean;

            /**
             * Encodes the specified Data message. Does not implicitly {@link tailrace.v1.Data.verify|verify} messages.
             * @param message Data message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Data.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Data message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Data & tailrace.v1.Data.$Shape} Data
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Data & tailrace.v1.Data.$Shape;
        }

        namespace Data {

            /** Properties of a Data. */
            interface $Properties {

                /** Data view */
                view?: (number|null);

                /** Data reports */
                reports?: (tailrace.v1.Delivery.$Properties[]|null);

                /** Data snapshot */
                snapshot?: (boolean|null);

                /** Data skipped */
                skipped?: (tailrace.v1.Skipped.$Properties[]|null);

                /** Data replay */
                replay?: (boolean|null);

                /** Data snapshotComplete */
                snapshotComplete?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Data. */
            type $Shape = {
              view?: number|null;
              reports?: tailrace.v1.Delivery.$Shape[]|null;
              snapshot?: boolean|null;
              skipped?: tailrace.v1.Skipped.$Shape[]|null;
              replay?: boolean|null;
              snapshotComplete?: boolean|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of a Skipped.
         * @deprecated Use tailrace.v1.Skipped.$Properties instead.
         */
        interface ISkipped extends tailrace.v1.Skipped.$Properties {
        }

        /** Represents a Skipped. */
        class Skipped {

            /**
             * Constructs a new Skipped.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Skipped.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Skipped partition. */
            partition: number;

            /** Skipped device. */
            device: string;

            /** Skipped from. */
            from: number;

            /** Skipped to. */
            to: number;

            /** Skipped count. */
            count: number;

            /** Skipped reason. */
            reason: string;

            /** Skipped tags. */
            tags: tailrace.v1.TagSummary.$Properties[];

            /**
             * Encodes the specified Skipped message. Does not implicitly {@link tailrace.v1.Skipped.verify|verify} messages.
             * @param message Skipped message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Skipped.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Skipped message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Skipped & tailrace.v1.Skipped.$Shape} Skipped
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Skipped & tailrace.v1.Skipped.$Shape;
        }

        namespace Skipped {

            /** Properties of a Skipped. */
            interface $Properties {

                /** Skipped partition */
                partition?: (number|null);

                /** Skipped device */
                device?: (string|null);

                /** Skipped from */
                from?: (number|null);

                /** Skipped to */
                to?: (number|null);

                /** Skipped count */
                count?: (number|null);

                /** Skipped reason */
                reason?: (string|null);

                /** Skipped tags */
                tags?: (tailrace.v1.TagSummary.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Skipped. */
            type $Shape = tailrace.v1.Skipped.$Properties;
        }

        /**
         * Properties of a TagSummary.
         * @deprecated Use tailrace.v1.TagSummary.$Properties instead.
         */
        interface ITagSummary extends tailrace.v1.TagSummary.$Properties {
        }

        /** Represents a TagSummary. */
        class TagSummary {

            /**
             * Constructs a new TagSummary.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.TagSummary.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** TagSummary tag. */
            tag: string;

            /** TagSummary count. */
            count: number;

            /** TagSummary first. */
            first?: (number|null);

            /** TagSummary min. */
            min?: (number|null);

            /** TagSummary max. */
            max?: (number|null);

            /** TagSummary last. */
            last?: (number|null);

            /**
             * Encodes the specified TagSummary message. Does not implicitly {@link tailrace.v1.TagSummary.verify|verify} messages.
             * @param message TagSummary message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.TagSummary.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a TagSummary message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.TagSummary & tailrace.v1.TagSummary.$Shape} TagSummary
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.TagSummary & tailrace.v1.TagSummary.$Shape;
        }

        namespace TagSummary {

            /** Properties of a TagSummary. */
            interface $Properties {

                /** TagSummary tag */
                tag?: (string|null);

                /** TagSummary count */
                count?: (number|null);

                /** TagSummary first */
                first?: (number|null);

                /** TagSummary min */
                min?: (number|null);

                /** TagSummary max */
                max?: (number|null);

                /** TagSummary last */
                last?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a TagSummary. */
            type $Shape = tailrace.v1.TagSummary.$Properties;
        }

        /**
         * Properties of an Unsubscribed.
         * @deprecated Use tailrace.v1.Unsubscribed.$Properties instead.
         */
        interface IUnsubscribed extends tailrace.v1.Unsubscribed.$Properties {
        }

        /** Represents an Unsubscribed. */
        class Unsubscribed {

            /**
             * Constructs a new Unsubscribed.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Unsubscribed.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Unsubscribed id. */
            id: string;

            /**
             * Encodes the specified Unsubscribed message. Does not implicitly {@link tailrace.v1.Unsubscribed.verify|verify} messages.
             * @param message Unsubscribed message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Unsubscribed.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Unsubscribed message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Unsubscribed & tailrace.v1.Unsubscribed.$Shape} Unsubscribed
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Unsubscribed & tailrace.v1.Unsubscribed.$Shape;
        }

        namespace Unsubscribed {

            /** Properties of an Unsubscribed. */
            interface $Properties {

                /** Unsubscribed id */
                id?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Unsubscribed. */
            type $Shape = tailrace.v1.Unsubscribed.$Properties;
        }

        /**
         * Properties of a Pong.
         * @deprecated Use tailrace.v1.Pong.$Properties instead.
         */
        interface IPong extends tailrace.v1.Pong.$Properties {
        }

        /** Represents a Pong. */
        class Pong {

            /**
             * Constructs a new Pong.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Pong.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Pong t. */
            t: number;

            /** Pong time. */
            time: number;

            /**
             * Encodes the specified Pong message. Does not implicitly {@link tailrace.v1.Pong.verify|verify} messages.
             * @param message Pong message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Pong.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Pong message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Pong & tailrace.v1.Pong.$Shape} Pong
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Pong & tailrace.v1.Pong.$Shape;
        }

        namespace Pong {

            /** Properties of a Pong. */
            interface $Properties {

                /** Pong t */
                t?: (number|null);

                /** Pong time */
                time?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Pong. */
            type $Shape = tailrace.v1.Pong.$Properties;
        }

        /**
         * Properties of a Draining.
         * @deprecated Use tailrace.v1.Draining.$Properties instead.
         */
        interface IDraining extends tailrace.v1.Draining.$Properties {
        }

        /** Represents a Draining. */
        class Draining {

            /**
             * Constructs a new Draining.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Draining.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Draining afterMs. */
            afterMs: number;

            /**
             * Encodes the specified Draining message. Does not implicitly {@link tailrace.v1.Draining.verify|verify} messages.
             * @param message Draining message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Draining.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Draining message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Draining & tailrace.v1.Draining.$Shape} Draining
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Draining & tailrace.v1.Draining.$Shape;
        }

        namespace Draining {

            /** Properties of a Draining. */
            interface $Properties {

                /** Draining afterMs */
                afterMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Draining. */
            type $Shape = tailrace.v1.Draining.$Properties;
        }

        /**
         * Properties of an Error.
         * @deprecated Use tailrace.v1.Error.$Properties instead.
         */
        interface IError extends tailrace.v1.Error.$Properties {
        }

        /** Represents an Error. */
        class Error {

            /**
             * Constructs a new Error.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Error.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Error id. */
            id: string;

            /** Error code. */
            code: string;

            /** Error message. */
            message: string;

            /** Error retryable. */
            retryable: boolean;

            /** Error request. */
            request: string;

            /**
             * Encodes the specified Error message. Does not implicitly {@link tailrace.v1.Error.verify|verify} messages.
             * @param message Error message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Error.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Error message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Error & tailrace.v1.Error.$Shape} Error
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Error & tailrace.v1.Error.$Shape;
        }

        namespace Error {

            /** Properties of an Error. */
            interface $Properties {

                /** Error id */
                id?: (string|null);

                /** Error code */
                code?: (string|null);

                /** Error message */
                message?: (string|null);

                /** Error retryable */
                retryable?: (boolean|null);

                /** Error request */
                request?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Error. */
            type $Shape = tailrace.v1.Error.$Properties;
        }

        /**
         * Properties of an AlarmEvents.
         * @deprecated Use tailrace.v1.AlarmEvents.$Properties instead.
         */
        interface IAlarmEvents extends tailrace.v1.AlarmEvents.$Properties {
        }

        /** Represents an AlarmEvents. */
        class AlarmEvents {

            /**
             * Constructs a new AlarmEvents.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.AlarmEvents.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AlarmEvents view. */
            view: number;

            /** AlarmEvents events. */
            events: tailrace.v1.AlarmEvent.$Properties[];

            /** AlarmEvents snapshot. */
            snapshot: boolean;

            /** AlarmEvents snapshotComplete. */
            snapshotComplete: boolean;

            /**
             * Encodes the specified AlarmEvents message. Does not implicitly {@link tailrace.v1.AlarmEvents.verify|verify} messages.
             * @param message AlarmEvents message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.AlarmEvents.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AlarmEvents message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.AlarmEvents & tailrace.v1.AlarmEvents.$Shape} AlarmEvents
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.AlarmEvents & tailrace.v1.AlarmEvents.$Shape;
        }

        namespace AlarmEvents {

            /** Properties of an AlarmEvents. */
            interface $Properties {

                /** AlarmEvents view */
                view?: (number|null);

                /** AlarmEvents events */
                events?: (tailrace.v1.AlarmEvent.$Properties[]|null);

                /** AlarmEvents snapshot */
                snapshot?: (boolean|null);

                /** AlarmEvents snapshotComplete */
                snapshotComplete?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an AlarmEvents. */
            type $Shape = {
              view?: number|null;
              events?: tailrace.v1.AlarmEvent.$Shape[]|null;
              snapshot?: boolean|null;
              snapshotComplete?: boolean|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of an AlarmEvent.
         * @deprecated Use tailrace.v1.AlarmEvent.$Properties instead.
         */
        interface IAlarmEvent extends tailrace.v1.AlarmEvent.$Properties {
        }

        /** Represents an AlarmEvent. */
        class AlarmEvent {

            /**
             * Constructs a new AlarmEvent.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.AlarmEvent.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AlarmEvent partition. */
            partition: number;

            /** AlarmEvent seq. */
            seq?: (number|null);

            /** AlarmEvent transition. */
            transition?: (tailrace.v1.AlarmTransition.$Properties|null);

            /** AlarmEvent refused. */
            refused?: (tailrace.v1.AlarmActionRefused.$Properties|null);

            /** AlarmEvent event. */
            event?: ("transition"|"refused");

            /**
             * Encodes the specified AlarmEvent message. Does not implicitly {@link tailrace.v1.AlarmEvent.verify|verify} messages.
             * @param message AlarmEvent message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.AlarmEvent.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AlarmEvent message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.AlarmEvent & tailrace.v1.AlarmEvent.$Shape} AlarmEvent
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.AlarmEvent & tailrace.v1.AlarmEvent.$Shape;
        }

        namespace AlarmEvent {

            /** Properties of an AlarmEvent. */
            interface $Properties {

                /** AlarmEvent partition */
                partition?: (number|null);

                /** AlarmEvent seq */
                seq?: (number|null);

                /** AlarmEvent transition */
                transition?: (tailrace.v1.AlarmTransition.$Properties|null);

                /** AlarmEvent refused */
                refused?: (tailrace.v1.AlarmActionRefused.$Properties|null);

                /** AlarmEvent event */
                event?: ("transition"|"refused");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of an AlarmEvent. */
            type $Shape = {
              partition?: number|null;
              seq?: number|null;
              transition?: tailrace.v1.AlarmTransition.$Shape|null;
              refused?: tailrace.v1.AlarmActionRefused.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ event?: undefined; transition?: null; refused?: null }|{ event?: "transition"; transition: tailrace.v1.AlarmTransition.$Shape; refused?: null }|{ event?: "refused"; transition?: null; refused: tailrace.v1.AlarmActionRefused.$Shape })
            );
        }

        /**
         * Properties of a CommandEvents.
         * @deprecated Use tailrace.v1.CommandEvents.$Properties instead.
         */
        interface ICommandEvents extends tailrace.v1.CommandEvents.$Properties {
        }

        /** Represents a CommandEvents. */
        class CommandEvents {

            /**
             * Constructs a new CommandEvents.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandEvents.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandEvents view. */
            view: number;

            /** CommandEvents events. */
            events: tailrace.v1.CommandEvent.$Properties[];

            /** CommandEvents snapshot. */
            snapshot: boolean;

            /** CommandEvents snapshotComplete. */
            snapshotComplete: boolean;

            /** CommandEvents request. */
            request: string;

            /**
             * Encodes the specified CommandEvents message. Does not implicitly {@link tailrace.v1.CommandEvents.verify|verify} messages.
             * @param message CommandEvents message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandEvents.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandEvents message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandEvents & tailrace.v1.CommandEvents.$Shape} CommandEvents
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandEvents & tailrace.v1.CommandEvents.$Shape;
        }

        namespace CommandEvents {

            /** Properties of a CommandEvents. */
            interface $Properties {

                /** CommandEvents view */
                view?: (number|null);

                /** CommandEvents events */
                events?: (tailrace.v1.CommandEvent.$Properties[]|null);

                /** CommandEvents snapshot */
                snapshot?: (boolean|null);

                /** CommandEvents snapshotComplete */
                snapshotComplete?: (boolean|null);

                /** CommandEvents request */
                request?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a CommandEvents. */
            type $Shape = {
              view?: number|null;
              events?: tailrace.v1.CommandEvent.$Shape[]|null;
              snapshot?: boolean|null;
              snapshotComplete?: boolean|null;
              request?: string|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of a CommandEvent.
         * @deprecated Use tailrace.v1.CommandEvent.$Properties instead.
         */
        interface ICommandEvent extends tailrace.v1.CommandEvent.$Properties {
        }

        /** Represents a CommandEvent. */
        class CommandEvent {

            /**
             * Constructs a new CommandEvent.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandEvent.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandEvent partition. */
            partition: number;

            /** CommandEvent seq. */
            seq?: (number|null);

            /** CommandEvent transition. */
            transition?: (tailrace.v1.CommandTransition.$Properties|null);

            /**
             * Encodes the specified CommandEvent message. Does not implicitly {@link tailrace.v1.CommandEvent.verify|verify} messages.
             * @param message CommandEvent message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandEvent.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandEvent message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandEvent & tailrace.v1.CommandEvent.$Shape} CommandEvent
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandEvent & tailrace.v1.CommandEvent.$Shape;
        }

        namespace CommandEvent {

            /** Properties of a CommandEvent. */
            interface $Properties {

                /** CommandEvent partition */
                partition?: (number|null);

                /** CommandEvent seq */
                seq?: (number|null);

                /** CommandEvent transition */
                transition?: (tailrace.v1.CommandTransition.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a CommandEvent. */
            type $Shape = {
              partition?: number|null;
              seq?: number|null;
              transition?: tailrace.v1.CommandTransition.$Shape|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of a LeaseEvents.
         * @deprecated Use tailrace.v1.LeaseEvents.$Properties instead.
         */
        interface ILeaseEvents extends tailrace.v1.LeaseEvents.$Properties {
        }

        /** Represents a LeaseEvents. */
        class LeaseEvents {

            /**
             * Constructs a new LeaseEvents.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.LeaseEvents.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** LeaseEvents view. */
            view: number;

            /** LeaseEvents events. */
            events: tailrace.v1.LeaseEvent.$Properties[];

            /** LeaseEvents snapshot. */
            snapshot: boolean;

            /** LeaseEvents snapshotComplete. */
            snapshotComplete: boolean;

            /** LeaseEvents request. */
            request: string;

            /**
             * Encodes the specified LeaseEvents message. Does not implicitly {@link tailrace.v1.LeaseEvents.verify|verify} messages.
             * @param message LeaseEvents message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.LeaseEvents.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a LeaseEvents message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.LeaseEvents & tailrace.v1.LeaseEvents.$Shape} LeaseEvents
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.LeaseEvents & tailrace.v1.LeaseEvents.$Shape;
        }

        namespace LeaseEvents {

            /** Properties of a LeaseEvents. */
            interface $Properties {

                /** LeaseEvents view */
                view?: (number|null);

                /** LeaseEvents events */
                events?: (tailrace.v1.LeaseEvent.$Properties[]|null);

                /** LeaseEvents snapshot */
                snapshot?: (boolean|null);

                /** LeaseEvents snapshotComplete */
                snapshotComplete?: (boolean|null);

                /** LeaseEvents request */
                request?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a LeaseEvents. */
            type $Shape = tailrace.v1.LeaseEvents.$Properties;
        }

        /**
         * Properties of a LeaseEvent.
         * @deprecated Use tailrace.v1.LeaseEvent.$Properties instead.
         */
        interface ILeaseEvent extends tailrace.v1.LeaseEvent.$Properties {
        }

        /** Represents a LeaseEvent. */
        class LeaseEvent {

            /**
             * Constructs a new LeaseEvent.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.LeaseEvent.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** LeaseEvent partition. */
            partition: number;

            /** LeaseEvent seq. */
            seq?: (number|null);

            /** LeaseEvent transition. */
            transition?: (tailrace.v1.LeaseTransition.$Properties|null);

            /**
             * Encodes the specified LeaseEvent message. Does not implicitly {@link tailrace.v1.LeaseEvent.verify|verify} messages.
             * @param message LeaseEvent message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.LeaseEvent.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a LeaseEvent message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.LeaseEvent & tailrace.v1.LeaseEvent.$Shape} LeaseEvent
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.LeaseEvent & tailrace.v1.LeaseEvent.$Shape;
        }

        namespace LeaseEvent {

            /** Properties of a LeaseEvent. */
            interface $Properties {

                /** LeaseEvent partition */
                partition?: (number|null);

                /** LeaseEvent seq */
                seq?: (number|null);

                /** LeaseEvent transition */
                transition?: (tailrace.v1.LeaseTransition.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a LeaseEvent. */
            type $Shape = tailrace.v1.LeaseEvent.$Properties;
        }

        /**
         * Properties of an Accepted.
         * @deprecated Use tailrace.v1.Accepted.$Properties instead.
         */
        interface IAccepted extends tailrace.v1.Accepted.$Properties {
        }

        /** Represents an Accepted. */
        class Accepted {

            /**
             * Constructs a new Accepted.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Accepted.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Accepted request. */
            request: string;

            /** Accepted action. */
            action: string;

            /**
             * Encodes the specified Accepted message. Does not implicitly {@link tailrace.v1.Accepted.verify|verify} messages.
             * @param message Accepted message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Accepted.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Accepted message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Accepted & tailrace.v1.Accepted.$Shape} Accepted
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Accepted & tailrace.v1.Accepted.$Shape;
        }

        namespace Accepted {

            /** Properties of an Accepted. */
            interface $Properties {

                /** Accepted request */
                request?: (string|null);

                /** Accepted action */
                action?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Accepted. */
            type $Shape = tailrace.v1.Accepted.$Properties;
        }

        /**
         * Properties of a Moved.
         * @deprecated Use tailrace.v1.Moved.$Properties instead.
         */
        interface IMoved extends tailrace.v1.Moved.$Properties {
        }

        /** Represents a Moved. */
        class Moved {

            /**
             * Constructs a new Moved.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Moved.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Moved channel. */
            channel: string;

            /** Moved url. */
            url: string;

            /**
             * Encodes the specified Moved message. Does not implicitly {@link tailrace.v1.Moved.verify|verify} messages.
             * @param message Moved message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Moved.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Moved message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Moved & tailrace.v1.Moved.$Shape} Moved
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Moved & tailrace.v1.Moved.$Shape;
        }

        namespace Moved {

            /** Properties of a Moved. */
            interface $Properties {

                /** Moved channel */
                channel?: (string|null);

                /** Moved url */
                url?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Moved. */
            type $Shape = tailrace.v1.Moved.$Properties;
        }

        /**
         * Properties of a Live.
         * @deprecated Use tailrace.v1.Live.$Properties instead.
         */
        interface ILive extends tailrace.v1.Live.$Properties {
        }

        /** Represents a Live. */
        class Live {

            /**
             * Constructs a new Live.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Live.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Live id. */
            id: string;

            /** Live position. */
            position: string;

            /**
             * Encodes the specified Live message. Does not implicitly {@link tailrace.v1.Live.verify|verify} messages.
             * @param message Live message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Live.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Live message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Live & tailrace.v1.Live.$Shape} Live
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Live & tailrace.v1.Live.$Shape;
        }

        namespace Live {

            /** Properties of a Live. */
            interface $Properties {

                /** Live id */
                id?: (string|null);

                /** Live position */
                position?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Live. */
            type $Shape = tailrace.v1.Live.$Properties;
        }

        /**
         * Properties of a Paused.
         * @deprecated Use tailrace.v1.Paused.$Properties instead.
         */
        interface IPaused extends tailrace.v1.Paused.$Properties {
        }

        /** Represents a Paused. */
        class Paused {

            /**
             * Constructs a new Paused.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Paused.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Paused id. */
            id: string;

            /** Paused position. */
            position: string;

            /**
             * Encodes the specified Paused message. Does not implicitly {@link tailrace.v1.Paused.verify|verify} messages.
             * @param message Paused message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Paused.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Paused message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Paused & tailrace.v1.Paused.$Shape} Paused
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Paused & tailrace.v1.Paused.$Shape;
        }

        namespace Paused {

            /** Properties of a Paused. */
            interface $Properties {

                /** Paused id */
                id?: (string|null);

                /** Paused position */
                position?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Paused. */
            type $Shape = tailrace.v1.Paused.$Properties;
        }

        /**
         * Properties of a Stale.
         * @deprecated Use tailrace.v1.Stale.$Properties instead.
         */
        interface IStale extends tailrace.v1.Stale.$Properties {
        }

        /** Represents a Stale. */
        class Stale {

            /**
             * Constructs a new Stale.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Stale.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Stale device. */
            device: string;

            /** Stale since. */
            since: number;

            /**
             * Encodes the specified Stale message. Does not implicitly {@link tailrace.v1.Stale.verify|verify} messages.
             * @param message Stale message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Stale.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Stale message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Stale & tailrace.v1.Stale.$Shape} Stale
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Stale & tailrace.v1.Stale.$Shape;
        }

        namespace Stale {

            /** Properties of a Stale. */
            interface $Properties {

                /** Stale device */
                device?: (string|null);

                /** Stale since */
                since?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Stale. */
            type $Shape = tailrace.v1.Stale.$Properties;
        }

        /**
         * Properties of an Online.
         * @deprecated Use tailrace.v1.Online.$Properties instead.
         */
        interface IOnline extends tailrace.v1.Online.$Properties {
        }

        /** Represents an Online. */
        class Online {

            /**
             * Constructs a new Online.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Online.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Online device. */
            device: string;

            /**
             * Encodes the specified Online message. Does not implicitly {@link tailrace.v1.Online.verify|verify} messages.
             * @param message Online message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Online.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Online message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Online & tailrace.v1.Online.$Shape} Online
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Online & tailrace.v1.Online.$Shape;
        }

        namespace Online {

            /** Properties of an Online. */
            interface $Properties {

                /** Online device */
                device?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Online. */
            type $Shape = tailrace.v1.Online.$Properties;
        }

        /**
         * Properties of an Offline.
         * @deprecated Use tailrace.v1.Offline.$Properties instead.
         */
        interface IOffline extends tailrace.v1.Offline.$Properties {
        }

        /** Represents an Offline. */
        class Offline {

            /**
             * Constructs a new Offline.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Offline.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Offline device. */
            device: string;

            /** Offline since. */
            since: number;

            /**
             * Encodes the specified Offline message. Does not implicitly {@link tailrace.v1.Offline.verify|verify} messages.
             * @param message Offline message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Offline.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Offline message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Offline & tailrace.v1.Offline.$Shape} Offline
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Offline & tailrace.v1.Offline.$Shape;
        }

        namespace Offline {

            /** Properties of an Offline. */
            interface $Properties {

                /** Offline device */
                device?: (string|null);

                /** Offline since */
                since?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Offline. */
            type $Shape = tailrace.v1.Offline.$Properties;
        }

        /**
         * Properties of an Interrupted.
         * @deprecated Use tailrace.v1.Interrupted.$Properties instead.
         */
        interface IInterrupted extends tailrace.v1.Interrupted.$Properties {
        }

        /** Represents an Interrupted. */
        class Interrupted {

            /**
             * Constructs a new Interrupted.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Interrupted.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Interrupted view. */
            view: number;

            /** Interrupted since. */
            since: number;

            /** Interrupted partitions. */
            partitions: number[];

            /**
             * Encodes the specified Interrupted message. Does not implicitly {@link tailrace.v1.Interrupted.verify|verify} messages.
             * @param message Interrupted message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Interrupted.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Interrupted message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Interrupted & tailrace.v1.Interrupted.$Shape} Interrupted
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Interrupted & tailrace.v1.Interrupted.$Shape;
        }

        namespace Interrupted {

            /** Properties of an Interrupted. */
            interface $Properties {

                /** Interrupted view */
                view?: (number|null);

                /** Interrupted since */
                since?: (number|null);

                /** Interrupted partitions */
                partitions?: (number[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Interrupted. */
            type $Shape = tailrace.v1.Interrupted.$Properties;
        }

        /**
         * Properties of a Restored.
         * @deprecated Use tailrace.v1.Restored.$Properties instead.
         */
        interface IRestored extends tailrace.v1.Restored.$Properties {
        }

        /** Represents a Restored. */
        class Restored {

            /**
             * Constructs a new Restored.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Restored.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Restored view. */
            view: number;

            /**
             * Encodes the specified Restored message. Does not implicitly {@link tailrace.v1.Restored.verify|verify} messages.
             * @param message Restored message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Restored.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Restored message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Restored & tailrace.v1.Restored.$Shape} Restored
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Restored & tailrace.v1.Restored.$Shape;
        }

        namespace Restored {

            /** Properties of a Restored. */
            interface $Properties {

                /** Restored view */
                view?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Restored. */
            type $Shape = tailrace.v1.Restored.$Properties;
        }

        /**
         * Properties of a Progress.
         * @deprecated Use tailrace.v1.Progress.$Properties instead.
         */
        interface IProgress extends tailrace.v1.Progress.$Properties {
        }

        /** Represents a Progress. */
        class Progress {

            /**
             * Constructs a new Progress.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Progress.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Progress view. */
            view: number;

            /** Progress position. */
            position: string;

            /**
             * Encodes the specified Progress message. Does not implicitly {@link tailrace.v1.Progress.verify|verify} messages.
             * @param message Progress message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Progress.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Progress message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Progress & tailrace.v1.Progress.$Shape} Progress
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Progress & tailrace.v1.Progress.$Shape;
        }

        namespace Progress {

            /** Properties of a Progress. */
            interface $Properties {

                /** Progress view */
                view?: (number|null);

                /** Progress position */
                position?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Progress. */
            type $Shape = tailrace.v1.Progress.$Properties;
        }

        /**
         * Properties of a Cut.
         * @deprecated Use tailrace.v1.Cut.$Properties instead.
         */
        interface ICut extends tailrace.v1.Cut.$Properties {
        }

        /** Represents a Cut. */
        class Cut {

            /**
             * Constructs a new Cut.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Cut.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Cut view. */
            view: number;

            /** Cut at. */
            at: number;

            /** Cut reports. */
            reports: tailrace.v1.Delivery.$Properties[];

            /** Cut late. */
            late: string[];

            /** Cut missing. */
            missing: number[];

            /** Cut page. */
            page: number;

            /** Cut more. */
            more: boolean;

            /**
             * Encodes the specified Cut message. Does not implicitly {@link tailrace.v1.Cut.verify|verify} messages.
             * @param message Cut message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Cut.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Cut message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Cut & tailrace.v1.Cut.$Shape} Cut
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Cut & tailrace.v1.Cut.$Shape;
        }

        namespace Cut {

            /** Properties of a Cut. */
            interface $Properties {

                /** Cut view */
                view?: (number|null);

                /** Cut at */
                at?: (number|null);

                /** Cut reports */
                reports?: (tailrace.v1.Delivery.$Properties[]|null);

                /** Cut late */
                late?: (string[]|null);

                /** Cut missing */
                missing?: (number[]|null);

                /** Cut page */
                page?: (number|null);

                /** Cut more */
                more?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Cut. */
            type $Shape = {
              view?: number|null;
              at?: number|null;
              reports?: tailrace.v1.Delivery.$Shape[]|null;
              late?: string[]|null;
              missing?: number[]|null;
              page?: number|null;
              more?: boolean|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of an Expiring.
         * @deprecated Use tailrace.v1.Expiring.$Properties instead.
         */
        interface IExpiring extends tailrace.v1.Expiring.$Properties {
        }

        /** Represents an Expiring. */
        class Expiring {

            /**
             * Constructs a new Expiring.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Expiring.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Expiring inMs. */
            inMs: number;

            /**
             * Encodes the specified Expiring message. Does not implicitly {@link tailrace.v1.Expiring.verify|verify} messages.
             * @param message Expiring message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Expiring.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Expiring message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Expiring & tailrace.v1.Expiring.$Shape} Expiring
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Expiring & tailrace.v1.Expiring.$Shape;
        }

        namespace Expiring {

            /** Properties of an Expiring. */
            interface $Properties {

                /** Expiring inMs */
                inMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Expiring. */
            type $Shape = tailrace.v1.Expiring.$Properties;
        }

        /**
         * Properties of a Notice.
         * @deprecated Use tailrace.v1.Notice.$Properties instead.
         */
        interface INotice extends tailrace.v1.Notice.$Properties {
        }

        /** Represents a Notice. */
        class Notice {

            /**
             * Constructs a new Notice.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Notice.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Notice severity. */
            severity: string;

            /** Notice message. */
            message: string;

            /** Notice time. */
            time: number;

            /**
             * Encodes the specified Notice message. Does not implicitly {@link tailrace.v1.Notice.verify|verify} messages.
             * @param message Notice message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Notice.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Notice message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Notice & tailrace.v1.Notice.$Shape} Notice
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Notice & tailrace.v1.Notice.$Shape;
        }

        namespace Notice {

            /** Properties of a Notice. */
            interface $Properties {

                /** Notice severity */
                severity?: (string|null);

                /** Notice message */
                message?: (string|null);

                /** Notice time */
                time?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Notice. */
            type $Shape = tailrace.v1.Notice.$Properties;
        }

        /** Quality enum. */
        enum Quality {

            /** QUALITY_UNSPECIFIED value */
            QUALITY_UNSPECIFIED = 0,

            /** QUALITY_GOOD value */
            QUALITY_GOOD = 1,

            /** QUALITY_UNCERTAIN value */
            QUALITY_UNCERTAIN = 2,

            /** QUALITY_BAD value */
            QUALITY_BAD = 3
        }

        /**
         * Properties of a Reading.
         * @deprecated Use tailrace.v1.Reading.$Properties instead.
         */
        interface IReading extends tailrace.v1.Reading.$Properties {
        }

        /** Represents a Reading. */
        class Reading {

            /**
             * Constructs a new Reading.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Reading.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Reading tag. */
            tag: string;

            /** Reading number. */
            number?: (number|null);

            /** Reading boolean. */
            boolean?: (boolean|null);

            /** Reading text. */
            text?: (string|null);

            /** Reading unit. */
            unit: string;

            /** Reading quality. */
            quality: tailrace.v1.Quality;

            /** Reading time. */
            time?: (number|null);

            /** Reading value. */
            value?: ("number"|"boolean"|"text");

            /**
             * Encodes the specified Reading message. Does not implicitly {@link tailrace.v1.Reading.verify|verify} messages.
             * @param message Reading message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Reading.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Reading message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Reading & tailrace.v1.Reading.$Shape} Reading
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Reading & tailrace.v1.Reading.$Shape;
        }

        namespace Reading {

            /** Properties of a Reading. */
            interface $Properties {

                /** Reading tag */
                tag?: (string|null);

                /** Reading number */
                number?: (number|null);

                /** Reading boolean */
                boolean?: (boolean|null);

                /** Reading text */
                text?: (string|null);

                /** Reading unit */
                unit?: (string|null);

                /** Reading quality */
                quality?: (tailrace.v1.Quality|null);

                /** Reading time */
                time?: (number|null);

                /** Reading value */
                value?: ("number"|"boolean"|"text");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a Reading. */
            type $Shape = {
              tag?: string|null;
              number?: number|null;
              boolean?: boolean|null;
              text?: string|null;
              unit?: string|null;
              quality?: tailrace.v1.Quality|null;
              time?: number|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ value?: undefined; number?: null; boolean?: null; text?: null }|{ value?: "number"; number: number; boolean?: null; text?: null }|{ value?: "boolean"; number?: null; boolean: boolean; text?: null }|{ value?: "text"; number?: null; boolean?: null; text: string })
            );
        }

        /** Clock enum. */
        enum Clock {

            /** CLOCK_UNSPECIFIED value */
            CLOCK_UNSPECIFIED = 0,

            /** CLOCK_AHEAD value */
            CLOCK_AHEAD = 1,

            /** CLOCK_INGEST value */
            CLOCK_INGEST = 2
        }

        /**
         * Properties of a Report.
         * @deprecated Use tailrace.v1.Report.$Properties instead.
         */
        interface IReport extends tailrace.v1.Report.$Properties {
        }

        /** Represents a Report. */
        class Report {

            /**
             * Constructs a new Report.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Report.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Report device. */
            device: string;

            /** Report time. */
            time: number;

            /** Report readings. */
            readings: tailrace.v1.Reading.$Properties[];

            /** Report id. */
            id: string;

            /** Report received. */
            received: number;

            /** Report clock. */
            clock: tailrace.v1.Clock;

            /** Report historical. */
            historical: boolean;

            /**
             * Encodes the specified Report message. Does not implicitly {@link tailrace.v1.Report.verify|verify} messages.
             * @param message Report message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Report.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Report message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Report & tailrace.v1.Report.$Shape} Report
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Report & tailrace.v1.Report.$Shape;
        }

        namespace Report {

            /** Properties of a Report. */
            interface $Properties {

                /** Report device */
                device?: (string|null);

                /** Report time */
                time?: (number|null);

                /** Report readings */
                readings?: (tailrace.v1.Reading.$Properties[]|null);

                /** Report id */
                id?: (string|null);

                /** Report received */
                received?: (number|null);

                /** Report clock */
                clock?: (tailrace.v1.Clock|null);

                /** Report historical */
                historical?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Report. */
            type $Shape = {
              device?: string|null;
              time?: number|null;
              readings?: tailrace.v1.Reading.$Shape[]|null;
              id?: string|null;
              received?: number|null;
              clock?: tailrace.v1.Clock|null;
              historical?: boolean|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of a ReportBatch.
         * @deprecated Use tailrace.v1.ReportBatch.$Properties instead.
         */
        interface IReportBatch extends tailrace.v1.ReportBatch.$Properties {
        }

        /** Represents a ReportBatch. */
        class ReportBatch {

            /**
             * Constructs a new ReportBatch.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.ReportBatch.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ReportBatch reports. */
            reports: tailrace.v1.Report.$Properties[];

            /**
             * Encodes the specified ReportBatch message. Does not implicitly {@link tailrace.v1.ReportBatch.verify|verify} messages.
             * @param message ReportBatch message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.ReportBatch.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ReportBatch message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.ReportBatch & tailrace.v1.ReportBatch.$Shape} ReportBatch
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.ReportBatch & tailrace.v1.ReportBatch.$Shape;
        }

        namespace ReportBatch {

            /** Properties of a ReportBatch. */
            interface $Properties {

                /** ReportBatch reports */
                reports?: (tailrace.v1.Report.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ReportBatch. */
            type $Shape = {
              reports?: tailrace.v1.Report.$Shape[]|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of an IoTData.
         * @deprecated Use tailrace.v1.IoTData.$Properties instead.
         */
        interface IIoTData extends tailrace.v1.IoTData.$Properties {
        }

        /** Represents an IoTData. */
        class IoTData {

            /**
             * Constructs a new IoTData.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.IoTData.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** IoTData deviceId. */
            deviceId: string;

            /** IoTData timestamp. */
            timestamp: number;

            /** IoTData readings. */
            readings: tailrace.v1.IoTData.Reading.$Properties[];

            /** IoTData id. */
            id: string;

            /** IoTData quality. */
            quality: tailrace.v1.Quality;

            /**
             * Encodes the specified IoTData message. Does not implicitly {@link tailrace.v1.IoTData.verify|verify} messages.
             * @param message IoTData message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.IoTData.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an IoTData message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.IoTData & tailrace.v1.IoTData.$Shape} IoTData
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.IoTData & tailrace.v1.IoTData.$Shape;
        }

        namespace IoTData {

            /** Properties of an IoTData. */
            interface $Properties {

                /** IoTData deviceId */
                deviceId?: (string|null);

                /** IoTData timestamp */
                timestamp?: (number|null);

                /** IoTData readings */
                readings?: (tailrace.v1.IoTData.Reading.$Properties[]|null);

                /** IoTData id */
                id?: (string|null);

                /** IoTData quality */
                quality?: (tailrace.v1.Quality|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an IoTData. */
            type $Shape = tailrace.v1.IoTData.$Properties;

            /**
             * Properties of a Reading.
             * @deprecated Use tailrace.v1.IoTData.Reading.$Properties instead.
             */
            interface IReading extends tailrace.v1.IoTData.Reading.$Properties {
            }

            /** Represents a Reading. */
            class Reading {

                /**
                 * Constructs a new Reading.
                 * @param [properties] Properties to set
                 */
                constructor(properties?: tailrace.v1.IoTData.Reading.$Properties);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];

                /** Reading sensorId. */
                sensorId: string;

                /** Reading value. */
                value: number;

                /** Reading unit. */
                unit: string;

                /**
                 * Encodes the specified Reading message. Does not implicitly {@link tailrace.v1.IoTData.Reading.verify|verify} messages.
                 * @param message Reading message or plain object to encode
                 * @param [writer] Writer to encode to
                 * @returns Writer
                 */
                static encode(message: tailrace.v1.IoTData.Reading.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

                /**
                 * Decodes a Reading message from the specified reader or buffer.
                 * @param reader Reader or buffer to decode from
                 * @param [length] Message length if known beforehand
                 * @returns {tailrace.v1.IoTData.Reading & tailrace.v1.IoTData.Reading.$Shape} Reading
                 * @throws {Error} If the payload is not a reader or valid buffer
                 * @throws {$protobuf.util.ProtocolError} If required fields are missing
                 */
                static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.IoTData.Reading & tailrace.v1.IoTData.Reading.$Shape;
            }

            namespace Reading {

                /** Properties of a Reading. */
                interface $Properties {

                    /** Reading sensorId */
                    sensorId?: (string|null);

                    /** Reading value */
                    value?: (number|null);

                    /** Reading unit */
                    unit?: (string|null);

                    /** Unknown fields preserved while decoding when enabled */
                    $unknowns?: Uint8Array[];
                }

                /** Shape of a Reading. */
                type $Shape = tailrace.v1.IoTData.Reading.$Properties;
            }
        }

        /**
         * Properties of an IoTDataBatch.
         * @deprecated Use tailrace.v1.IoTDataBatch.$Properties instead.
         */
        interface IIoTDataBatch extends tailrace.v1.IoTDataBatch.$Properties {
        }

        /** Represents an IoTDataBatch. */
        class IoTDataBatch {

            /**
             * Constructs a new IoTDataBatch.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.IoTDataBatch.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** IoTDataBatch messages. */
            messages: tailrace.v1.IoTData.$Properties[];

            /**
             * Encodes the specified IoTDataBatch message. Does not implicitly {@link tailrace.v1.IoTDataBatch.verify|verify} messages.
             * @param message IoTDataBatch message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.IoTDataBatch.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an IoTDataBatch message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.IoTDataBatch & tailrace.v1.IoTDataBatch.$Shape} IoTDataBatch
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.IoTDataBatch & tailrace.v1.IoTDataBatch.$Shape;
        }

        namespace IoTDataBatch {

            /** Properties of an IoTDataBatch. */
            interface $Properties {

                /** IoTDataBatch messages */
                messages?: (tailrace.v1.IoTData.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an IoTDataBatch. */
            type $Shape = tailrace.v1.IoTDataBatch.$Properties;
        }

        /**
         * Properties of a Delivery.
         * @deprecated Use tailrace.v1.Delivery.$Properties instead.
         */
        interface IDelivery extends tailrace.v1.Delivery.$Properties {
        }

        /** Represents a Delivery. */
        class Delivery {

            /**
             * Constructs a new Delivery.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Delivery.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Delivery device. */
            device: string;

            /** Delivery time. */
            time: number;

            /** Delivery readings. */
            readings: tailrace.v1.Reading.$Properties[];

            /** Delivery id. */
            id: string;

            /** Delivery received. */
            received: number;

            /** Delivery partition. */
            partition: number;

            /** Delivery seq. */
            seq: number;

            /** Delivery delta. */
            delta: boolean;

            /** Delivery clock. */
            clock: tailrace.v1.Clock;

            /** Delivery historical. */
            historical: boolean;

            /**
             * Encodes the specified Delivery message. Does not implicitly {@link tailrace.v1.Delivery.verify|verify} messages.
             * @param message Delivery message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Delivery.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Delivery message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Delivery & tailrace.v1.Delivery.$Shape} Delivery
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Delivery & tailrace.v1.Delivery.$Shape;
        }

        namespace Delivery {

            /** Properties of a Delivery. */
            interface $Properties {

                /** Delivery device */
                device?: (string|null);

                /** Delivery time */
                time?: (number|null);

                /** Delivery readings */
                readings?: (tailrace.v1.Reading.$Properties[]|null);

                /** Delivery id */
                id?: (string|null);

                /** Delivery received */
                received?: (number|null);

                /** Delivery partition */
                partition?: (number|null);

                /** Delivery seq */
                seq?: (number|null);

                /** Delivery delta */
                delta?: (boolean|null);

                /** Delivery clock */
                clock?: (tailrace.v1.Clock|null);

                /** Delivery historical */
                historical?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Delivery. */
            type $Shape = {
              device?: string|null;
              time?: number|null;
              readings?: tailrace.v1.Reading.$Shape[]|null;
              id?: string|null;
              received?: number|null;
              partition?: number|null;
              seq?: number|null;
              delta?: boolean|null;
              clock?: tailrace.v1.Clock|null;
              historical?: boolean|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of an IngestResult.
         * @deprecated Use tailrace.v1.IngestResult.$Properties instead.
         */
        interface IIngestResult extends tailrace.v1.IngestResult.$Properties {
        }

        /** Represents an IngestResult. */
        class IngestResult {

            /**
             * Constructs a new IngestResult.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.IngestResult.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** IngestResult accepted. */
            accepted: number;

            /** IngestResult rejected. */
            rejected: tailrace.v1.Rejection.$Properties[];

            /**
             * Encodes the specified IngestResult message. Does not implicitly {@link tailrace.v1.IngestResult.verify|verify} messages.
             * @param message IngestResult message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.IngestResult.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an IngestResult message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.IngestResult & tailrace.v1.IngestResult.$Shape} IngestResult
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.IngestResult & tailrace.v1.IngestResult.$Shape;
        }

        namespace IngestResult {

            /** Properties of an IngestResult. */
            interface $Properties {

                /** IngestResult accepted */
                accepted?: (number|null);

                /** IngestResult rejected */
                rejected?: (tailrace.v1.Rejection.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an IngestResult. */
            type $Shape = tailrace.v1.IngestResult.$Properties;
        }

        /**
         * Properties of a Rejection.
         * @deprecated Use tailrace.v1.Rejection.$Properties instead.
         */
        interface IRejection extends tailrace.v1.Rejection.$Properties {
        }

        /** Represents a Rejection. */
        class Rejection {

            /**
             * Constructs a new Rejection.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Rejection.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Rejection index. */
            index: number;

            /** Rejection code. */
            code: string;

            /** Rejection message. */
            message: string;

            /**
             * Encodes the specified Rejection message. Does not implicitly {@link tailrace.v1.Rejection.verify|verify} messages.
             * @param message Rejection message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Rejection.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Rejection message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Rejection & tailrace.v1.Rejection.$Shape} Rejection
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Rejection & tailrace.v1.Rejection.$Shape;
        }

        namespace Rejection {

            /** Properties of a Rejection. */
            interface $Properties {

                /** Rejection index */
                index?: (number|null);

                /** Rejection code */
                code?: (string|null);

                /** Rejection message */
                message?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Rejection. */
            type $Shape = tailrace.v1.Rejection.$Properties;
        }

        /**
         * Properties of a ControlRecord.
         * @deprecated Use tailrace.v1.ControlRecord.$Properties instead.
         */
        interface IControlRecord extends tailrace.v1.ControlRecord.$Properties {
        }

        /** Represents a ControlRecord. */
        class ControlRecord {

            /**
             * Constructs a new ControlRecord.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.ControlRecord.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ControlRecord revocation. */
            revocation?: (tailrace.v1.Revocation.$Properties|null);

            /** ControlRecord notice. */
            notice?: (tailrace.v1.OperatorNotice.$Properties|null);

            /** ControlRecord credential. */
            credential?: (tailrace.v1.DeviceCredential.$Properties|null);

            /** ControlRecord commandSwitch. */
            commandSwitch?: (tailrace.v1.CommandSwitch.$Properties|null);

            /** ControlRecord content. */
            content?: ("revocation"|"notice"|"credential"|"commandSwitch");

            /**
             * Encodes the specified ControlRecord message. Does not implicitly {@link tailrace.v1.ControlRecord.verify|verify} messages.
             * @param message ControlRecord message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.ControlRecord.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ControlRecord message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.ControlRecord & tailrace.v1.ControlRecord.$Shape} ControlRecord
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.ControlRecord & tailrace.v1.ControlRecord.$Shape;
        }

        namespace ControlRecord {

            /** Properties of a ControlRecord. */
            interface $Properties {

                /** ControlRecord revocation */
                revocation?: (tailrace.v1.Revocation.$Properties|null);

                /** ControlRecord notice */
                notice?: (tailrace.v1.OperatorNotice.$Properties|null);

                /** ControlRecord credential */
                credential?: (tailrace.v1.DeviceCredential.$Properties|null);

                /** ControlRecord commandSwitch */
                commandSwitch?: (tailrace.v1.CommandSwitch.$Properties|null);

                /** ControlRecord content */
                content?: ("revocation"|"notice"|"credential"|"commandSwitch");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a ControlRecord. */
            type $Shape = {
              revocation?: tailrace.v1.Revocation.$Shape|null;
              notice?: tailrace.v1.OperatorNotice.$Shape|null;
              credential?: tailrace.v1.DeviceCredential.$Shape|null;
              commandSwitch?: tailrace.v1.CommandSwitch.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ content?: undefined; revocation?: null; notice?: null; credential?: null; commandSwitch?: null }|{ content?: "revocation"; revocation: tailrace.v1.Revocation.$Shape; notice?: null; credential?: null; commandSwitch?: null }|{ content?: "notice"; revocation?: null; notice: tailrace.v1.OperatorNotice.$Shape; credential?: null; commandSwitch?: null }|{ content?: "credential"; revocation?: null; notice?: null; credential: tailrace.v1.DeviceCredential.$Shape; commandSwitch?: null }|{ content?: "commandSwitch"; revocation?: null; notice?: null; credential?: null; commandSwitch: tailrace.v1.CommandSwitch.$Shape })
            );
        }

        /**
         * Properties of a Revocation.
         * @deprecated Use tailrace.v1.Revocation.$Properties instead.
         */
        interface IRevocation extends tailrace.v1.Revocation.$Properties {
        }

        /** Represents a Revocation. */
        class Revocation {

            /**
             * Constructs a new Revocation.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Revocation.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Revocation tokenId. */
            tokenId: string;

            /** Revocation subject. */
            subject: string;

            /** Revocation issuedBefore. */
            issuedBefore: number;

            /** Revocation expiresAt. */
            expiresAt?: (number|null);

            /**
             * Encodes the specified Revocation message. Does not implicitly {@link tailrace.v1.Revocation.verify|verify} messages.
             * @param message Revocation message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Revocation.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Revocation message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Revocation & tailrace.v1.Revocation.$Shape} Revocation
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Revocation & tailrace.v1.Revocation.$Shape;
        }

        namespace Revocation {

            /** Properties of a Revocation. */
            interface $Properties {

                /** Revocation tokenId */
                tokenId?: (string|null);

                /** Revocation subject */
                subject?: (string|null);

                /** Revocation issuedBefore */
                issuedBefore?: (number|null);

                /** Revocation expiresAt */
                expiresAt?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Revocation. */
            type $Shape = tailrace.v1.Revocation.$Properties;
        }

        /**
         * Properties of an OperatorNotice.
         * @deprecated Use tailrace.v1.OperatorNotice.$Properties instead.
         */
        interface IOperatorNotice extends tailrace.v1.OperatorNotice.$Properties {
        }

        /** Represents an OperatorNotice. */
        class OperatorNotice {

            /**
             * Constructs a new OperatorNotice.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.OperatorNotice.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** OperatorNotice severity. */
            severity: string;

            /** OperatorNotice message. */
            message: string;

            /** OperatorNotice time. */
            time: number;

            /**
             * Encodes the specified OperatorNotice message. Does not implicitly {@link tailrace.v1.OperatorNotice.verify|verify} messages.
             * @param message OperatorNotice message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.OperatorNotice.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an OperatorNotice message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.OperatorNotice & tailrace.v1.OperatorNotice.$Shape} OperatorNotice
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.OperatorNotice & tailrace.v1.OperatorNotice.$Shape;
        }

        namespace OperatorNotice {

            /** Properties of an OperatorNotice. */
            interface $Properties {

                /** OperatorNotice severity */
                severity?: (string|null);

                /** OperatorNotice message */
                message?: (string|null);

                /** OperatorNotice time */
                time?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an OperatorNotice. */
            type $Shape = tailrace.v1.OperatorNotice.$Properties;
        }

        /**
         * Properties of a CommandSwitch.
         * @deprecated Use tailrace.v1.CommandSwitch.$Properties instead.
         */
        interface ICommandSwitch extends tailrace.v1.CommandSwitch.$Properties {
        }

        /** Represents a CommandSwitch. */
        class CommandSwitch {

            /**
             * Constructs a new CommandSwitch.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.CommandSwitch.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CommandSwitch off. */
            off: boolean;

            /** CommandSwitch reason. */
            reason: string;

            /** CommandSwitch by. */
            by: string;

            /** CommandSwitch time. */
            time: number;

            /**
             * Encodes the specified CommandSwitch message. Does not implicitly {@link tailrace.v1.CommandSwitch.verify|verify} messages.
             * @param message CommandSwitch message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.CommandSwitch.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CommandSwitch message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.CommandSwitch & tailrace.v1.CommandSwitch.$Shape} CommandSwitch
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.CommandSwitch & tailrace.v1.CommandSwitch.$Shape;
        }

        namespace CommandSwitch {

            /** Properties of a CommandSwitch. */
            interface $Properties {

                /** CommandSwitch off */
                off?: (boolean|null);

                /** CommandSwitch reason */
                reason?: (string|null);

                /** CommandSwitch by */
                by?: (string|null);

                /** CommandSwitch time */
                time?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a CommandSwitch. */
            type $Shape = tailrace.v1.CommandSwitch.$Properties;
        }

        /**
         * Properties of a DeviceCredential.
         * @deprecated Use tailrace.v1.DeviceCredential.$Properties instead.
         */
        interface IDeviceCredential extends tailrace.v1.DeviceCredential.$Properties {
        }

        /** Represents a DeviceCredential. */
        class DeviceCredential {

            /**
             * Constructs a new DeviceCredential.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.DeviceCredential.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** DeviceCredential id. */
            id: string;

            /** DeviceCredential device. */
            device: string;

            /** DeviceCredential gateway. */
            gateway: boolean;

            /** DeviceCredential secretSha256. */
            secretSha256: Uint8Array;

            /** DeviceCredential issuedAt. */
            issuedAt: number;

            /** DeviceCredential expiresAt. */
            expiresAt?: (number|null);

            /** DeviceCredential issuedBy. */
            issuedBy: string;

            /** DeviceCredential label. */
            label: string;

            /**
             * Encodes the specified DeviceCredential message. Does not implicitly {@link tailrace.v1.DeviceCredential.verify|verify} messages.
             * @param message DeviceCredential message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.DeviceCredential.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a DeviceCredential message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.DeviceCredential & tailrace.v1.DeviceCredential.$Shape} DeviceCredential
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.DeviceCredential & tailrace.v1.DeviceCredential.$Shape;
        }

        namespace DeviceCredential {

            /** Properties of a DeviceCredential. */
            interface $Properties {

                /** DeviceCredential id */
                id?: (string|null);

                /** DeviceCredential device */
                device?: (string|null);

                /** DeviceCredential gateway */
                gateway?: (boolean|null);

                /** DeviceCredential secretSha256 */
                secretSha256?: (Uint8Array|null);

                /** DeviceCredential issuedAt */
                issuedAt?: (number|null);

                /** DeviceCredential expiresAt */
                expiresAt?: (number|null);

                /** DeviceCredential issuedBy */
                issuedBy?: (string|null);

                /** DeviceCredential label */
                label?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a DeviceCredential. */
            type $Shape = tailrace.v1.DeviceCredential.$Properties;
        }

        /**
         * Properties of an Event.
         * @deprecated Use tailrace.v1.Event.$Properties instead.
         */
        interface IEvent extends tailrace.v1.Event.$Properties {
        }

        /** Represents an Event. */
        class Event {

            /**
             * Constructs a new Event.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Event.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Event sessionStarted. */
            sessionStarted?: (tailrace.v1.SessionStarted.$Properties|null);

            /** Event sessionClosed. */
            sessionClosed?: (tailrace.v1.SessionClosed.$Properties|null);

            /** Event sessionConflict. */
            sessionConflict?: (tailrace.v1.SessionConflict.$Properties|null);

            /** Event ingestAlive. */
            ingestAlive?: (tailrace.v1.IngestAlive.$Properties|null);

            /** Event alarmTransition. */
            alarmTransition?: (tailrace.v1.AlarmTransition.$Properties|null);

            /** Event alarmAction. */
            alarmAction?: (tailrace.v1.AlarmAction.$Properties|null);

            /** Event alarmActionRefused. */
            alarmActionRefused?: (tailrace.v1.AlarmActionRefused.$Properties|null);

            /** Event commandTransition. */
            commandTransition?: (tailrace.v1.CommandTransition.$Properties|null);

            /** Event leaseTransition. */
            leaseTransition?: (tailrace.v1.LeaseTransition.$Properties|null);

            /** Event alarmOwner. */
            alarmOwner?: (tailrace.v1.AlarmOwner.$Properties|null);

            /** Event alarmRate. */
            alarmRate?: (tailrace.v1.AlarmRate.$Properties|null);

            /** Event event. */
            event?: ("sessionStarted"|"sessionClosed"|"sessionConflict"|"ingestAlive"|"alarmTransition"|"alarmAction"|"alarmActionRefused"|"commandTransition"|"leaseTransition"|"alarmOwner"|"alarmRate");

            /**
             * Encodes the specified Event message. Does not implicitly {@link tailrace.v1.Event.verify|verify} messages.
             * @param message Event message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Event.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Event message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Event & tailrace.v1.Event.$Shape} Event
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Event & tailrace.v1.Event.$Shape;
        }

        namespace Event {

            /** Properties of an Event. */
            interface $Properties {

                /** Event sessionStarted */
                sessionStarted?: (tailrace.v1.SessionStarted.$Properties|null);

                /** Event sessionClosed */
                sessionClosed?: (tailrace.v1.SessionClosed.$Properties|null);

                /** Event sessionConflict */
                sessionConflict?: (tailrace.v1.SessionConflict.$Properties|null);

                /** Event ingestAlive */
                ingestAlive?: (tailrace.v1.IngestAlive.$Properties|null);

                /** Event alarmTransition */
                alarmTransition?: (tailrace.v1.AlarmTransition.$Properties|null);

                /** Event alarmAction */
                alarmAction?: (tailrace.v1.AlarmAction.$Properties|null);

                /** Event alarmActionRefused */
                alarmActionRefused?: (tailrace.v1.AlarmActionRefused.$Properties|null);

                /** Event commandTransition */
                commandTransition?: (tailrace.v1.CommandTransition.$Properties|null);

                /** Event leaseTransition */
                leaseTransition?: (tailrace.v1.LeaseTransition.$Properties|null);

                /** Event alarmOwner */
                alarmOwner?: (tailrace.v1.AlarmOwner.$Properties|null);

                /** Event alarmRate */
                alarmRate?: (tailrace.v1.AlarmRate.$Properties|null);

                /** Event event */
                event?: ("sessionStarted"|"sessionClosed"|"sessionConflict"|"ingestAlive"|"alarmTransition"|"alarmAction"|"alarmActionRefused"|"commandTransition"|"leaseTransition"|"alarmOwner"|"alarmRate");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of an Event. */
            type $Shape = {
              sessionStarted?: tailrace.v1.SessionStarted.$Shape|null;
              sessionClosed?: tailrace.v1.SessionClosed.$Shape|null;
              sessionConflict?: tailrace.v1.SessionConflict.$Shape|null;
              ingestAlive?: tailrace.v1.IngestAlive.$Shape|null;
              alarmTransition?: tailrace.v1.AlarmTransition.$Shape|null;
              alarmAction?: tailrace.v1.AlarmAction.$Shape|null;
              alarmActionRefused?: tailrace.v1.AlarmActionRefused.$Shape|null;
              commandTransition?: tailrace.v1.CommandTransition.$Shape|null;
              leaseTransition?: tailrace.v1.LeaseTransition.$Shape|null;
              alarmOwner?: tailrace.v1.AlarmOwner.$Shape|null;
              alarmRate?: tailrace.v1.AlarmRate.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ event?: undefined; sessionStarted?: null; sessionClosed?: null; sessionConflict?: null; ingestAlive?: null; alarmTransition?: null; alarmAction?: null; alarmActionRefused?: null; commandTransition?: null; leaseTransition?: null; alarmOwner?: null; alarmRate?: null }|{ event?: "sessionStarted"; sessionStarted: tailrace.v1.SessionStarted.$Shape; sessionClosed?: null; sessionConflict?: null; ingestAlive?: null; alarmTransition?: null; alarmAction?: null; alarmActionRefused?: null; commandTransition?: null; leaseTransition?: null; alarmOwner?: null; alarmRate?: null }|{ event?: "sessionClosed"; sessionStarted?: null; sessionClosed: tailrace.v1.SessionClosed.$Shape; sessionConflict?: null; ingestAlive?: null; alarmTransition?: null; alarmAction?: null; alarmActionRefused?: null; commandTransition?: null; leaseTransition?: null; alarmOwner?: null; alarmRate?: null }|{ event?: "sessionConflict"; sessionStarted?: null; sessionClosed?: null; sessionConflict: tailrace.v1.SessionConflict.$Shape; ingestAlive?: null; alarmTransition?: null; alarmAction?: null; alarmActionRefused?: null; commandTransition?: null; leaseTransition?: null; alarmOwner?: null; alarmRate?: null }|{ event?: "ingestAlive"; sessionStarted?: null; sessionClosed?: null; sessionConflict?: null; ingestAlive: tailrace.v1.IngestAlive.$Shape; alarmTransition?: null; alarmAction?: null; alarmActionRefused?: null; commandTransition?: null; leaseTransition?: null; alarmOwner?: null; alarmRate?: null }|{ event?: "alarmTransition"; sessionStarted?: null; sessionClosed?: null; sessionConflict?: null; ingestAlive?: null; alarmTransition: tailrace.v1.AlarmTransition.$Shape; alarmAction?: null; alarmActionRefused?: null; commandTransition?: null; leaseTransition?: null; alarmOwner?: null; alarmRate?: null }|{ event?: "alarmAction"; sessionStarted?: null; sessionClosed?: null; sessionConflict?: null; ingestAlive?: null; alarmTransition?: null; alarmAction: tailrace.v1.AlarmAction.$Shape; alarmActionRefused?: null; commandTransition?: null; leaseTransition?: null; alarmOwner?: null; alarmRate?: null }|{ event?: "alarmActionRefused"; sessionStarted?: null; sessionClosed?: null; sessionConflict?: null; ingestAlive?: null; alarmTransition?: null; alarmAction?: null; alarmActionRefused: tailrace.v1.AlarmActionRefused.$Shape; commandTransition?: null; leaseTransition?: null; alarmOwner?: null; alarmRate?: null }|{ event?: "commandTransition"; sessionStarted?: null; sessionClosed?: null; sessionConflict?: null; ingestAlive?: null; alarmTransition?: null; alarmAction?: null; alarmActionRefused?: null; commandTransition: tailrace.v1.CommandTransition.$Shape; leaseTransition?: null; alarmOwner?: null; alarmRate?: null }|{ event?: "leaseTransition"; sessionStarted?: null; sessionClosed?: null; sessionConflict?: null; ingestAlive?: null; alarmTransition?: null; alarmAction?: null; alarmActionRefused?: null; commandTransition?: null; leaseTransition: tailrace.v1.LeaseTransition.$Shape; alarmOwner?: null; alarmRate?: null }|{ event?: "alarmOwner"; sessionStarted?: null; sessionClosed?: null; sessionConflict?: null; ingestAlive?: null; alarmTransition?: null; alarmAction?: null; alarmActionRefused?: null; commandTransition?: null; leaseTransition?: null; alarmOwner: tailrace.v1.AlarmOwner.$Shape; alarmRate?: null }|{ event?: "alarmRate"; sessionStarted?: null; sessionClosed?: null; sessionConflict?: null; ingestAlive?: null; alarmTransition?: null; alarmAction?: null; alarmActionRefused?: null; commandTransition?: null; leaseTransition?: null; alarmOwner?: null; alarmRate: tailrace.v1.AlarmRate.$Shape })
            );
        }

        /**
         * Properties of a SessionStarted.
         * @deprecated Use tailrace.v1.SessionStarted.$Properties instead.
         */
        interface ISessionStarted extends tailrace.v1.SessionStarted.$Properties {
        }

        /** Represents a SessionStarted. */
        class SessionStarted {

            /**
             * Constructs a new SessionStarted.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.SessionStarted.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SessionStarted session. */
            session: number;

            /** SessionStarted node. */
            node: string;

            /** SessionStarted atMs. */
            atMs: number;

            /** SessionStarted protocol. */
            protocol: string;

            /** SessionStarted process. */
            process: string;

            /**
             * Encodes the specified SessionStarted message. Does not implicitly {@link tailrace.v1.SessionStarted.verify|verify} messages.
             * @param message SessionStarted message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.SessionStarted.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SessionStarted message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.SessionStarted & tailrace.v1.SessionStarted.$Shape} SessionStarted
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.SessionStarted & tailrace.v1.SessionStarted.$Shape;
        }

        namespace SessionStarted {

            /** Properties of a SessionStarted. */
            interface $Properties {

                /** SessionStarted session */
                session?: (number|null);

                /** SessionStarted node */
                node?: (string|null);

                /** SessionStarted atMs */
                atMs?: (number|null);

                /** SessionStarted protocol */
                protocol?: (string|null);

                /** SessionStarted process */
                process?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SessionStarted. */
            type $Shape = tailrace.v1.SessionStarted.$Properties;
        }

        /**
         * Properties of a SessionClosed.
         * @deprecated Use tailrace.v1.SessionClosed.$Properties instead.
         */
        interface ISessionClosed extends tailrace.v1.SessionClosed.$Properties {
        }

        /** Represents a SessionClosed. */
        class SessionClosed {

            /**
             * Constructs a new SessionClosed.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.SessionClosed.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SessionClosed session. */
            session: number;

            /** SessionClosed atMs. */
            atMs: number;

            /** SessionClosed graceMs. */
            graceMs: number;

            /** SessionClosed lastSeq. */
            lastSeq?: (number|null);

            /** SessionClosed epoch. */
            epoch: string;

            /** SessionClosed reason. */
            reason: string;

            /**
             * Encodes the specified SessionClosed message. Does not implicitly {@link tailrace.v1.SessionClosed.verify|verify} messages.
             * @param message SessionClosed message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.SessionClosed.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SessionClosed message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.SessionClosed & tailrace.v1.SessionClosed.$Shape} SessionClosed
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.SessionClosed & tailrace.v1.SessionClosed.$Shape;
        }

        namespace SessionClosed {

            /** Properties of a SessionClosed. */
            interface $Properties {

                /** SessionClosed session */
                session?: (number|null);

                /** SessionClosed atMs */
                atMs?: (number|null);

                /** SessionClosed graceMs */
                graceMs?: (number|null);

                /** SessionClosed lastSeq */
                lastSeq?: (number|null);

                /** SessionClosed epoch */
                epoch?: (string|null);

                /** SessionClosed reason */
                reason?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SessionClosed. */
            type $Shape = tailrace.v1.SessionClosed.$Properties;
        }

        /**
         * Properties of an IngestAlive.
         * @deprecated Use tailrace.v1.IngestAlive.$Properties instead.
         */
        interface IIngestAlive extends tailrace.v1.IngestAlive.$Properties {
        }

        /** Represents an IngestAlive. */
        class IngestAlive {

            /**
             * Constructs a new IngestAlive.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.IngestAlive.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** IngestAlive node. */
            node: string;

            /** IngestAlive process. */
            process: string;

            /** IngestAlive atMs. */
            atMs: number;

            /**
             * Encodes the specified IngestAlive message. Does not implicitly {@link tailrace.v1.IngestAlive.verify|verify} messages.
             * @param message IngestAlive message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.IngestAlive.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an IngestAlive message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.IngestAlive & tailrace.v1.IngestAlive.$Shape} IngestAlive
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.IngestAlive & tailrace.v1.IngestAlive.$Shape;
        }

        namespace IngestAlive {

            /** Properties of an IngestAlive. */
            interface $Properties {

                /** IngestAlive node */
                node?: (string|null);

                /** IngestAlive process */
                process?: (string|null);

                /** IngestAlive atMs */
                atMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an IngestAlive. */
            type $Shape = tailrace.v1.IngestAlive.$Properties;
        }

        /**
         * Properties of a SessionConflict.
         * @deprecated Use tailrace.v1.SessionConflict.$Properties instead.
         */
        interface ISessionConflict extends tailrace.v1.SessionConflict.$Properties {
        }

        /** Represents a SessionConflict. */
        class SessionConflict {

            /**
             * Constructs a new SessionConflict.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.SessionConflict.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SessionConflict addresses. */
            addresses: string[];

            /** SessionConflict nodes. */
            nodes: string[];

            /** SessionConflict takeovers. */
            takeovers: number;

            /** SessionConflict atMs. */
            atMs: number;

            /**
             * Encodes the specified SessionConflict message. Does not implicitly {@link tailrace.v1.SessionConflict.verify|verify} messages.
             * @param message SessionConflict message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.SessionConflict.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SessionConflict message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.SessionConflict & tailrace.v1.SessionConflict.$Shape} SessionConflict
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.SessionConflict & tailrace.v1.SessionConflict.$Shape;
        }

        namespace SessionConflict {

            /** Properties of a SessionConflict. */
            interface $Properties {

                /** SessionConflict addresses */
                addresses?: (string[]|null);

                /** SessionConflict nodes */
                nodes?: (string[]|null);

                /** SessionConflict takeovers */
                takeovers?: (number|null);

                /** SessionConflict atMs */
                atMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SessionConflict. */
            type $Shape = tailrace.v1.SessionConflict.$Properties;
        }

        /**
         * Properties of an Announcement.
         * @deprecated Use tailrace.v1.Announcement.$Properties instead.
         */
        interface IAnnouncement extends tailrace.v1.Announcement.$Properties {
        }

        /** Represents an Announcement. */
        class Announcement {

            /**
             * Constructs a new Announcement.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Announcement.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Announcement node. */
            node: string;

            /** Announcement url. */
            url: string;

            /** Announcement generation. */
            generation: number;

            /** Announcement partitions. */
            partitions: number[];

            /** Announcement epoch. */
            epoch: string;

            /** Announcement connections. */
            connections: number;

            /** Announcement leaving. */
            leaving: boolean;

            /** Announcement acting. */
            acting: number[];

            /** Announcement connectionsMax. */
            connectionsMax: number;

            /** Announcement reachable. */
            reachable: boolean;

            /** Announcement draining. */
            draining: boolean;

            /**
             * Encodes the specified Announcement message. Does not implicitly {@link tailrace.v1.Announcement.verify|verify} messages.
             * @param message Announcement message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Announcement.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Announcement message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Announcement & tailrace.v1.Announcement.$Shape} Announcement
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Announcement & tailrace.v1.Announcement.$Shape;
        }

        namespace Announcement {

            /** Properties of an Announcement. */
            interface $Properties {

                /** Announcement node */
                node?: (string|null);

                /** Announcement url */
                url?: (string|null);

                /** Announcement generation */
                generation?: (number|null);

                /** Announcement partitions */
                partitions?: (number[]|null);

                /** Announcement epoch */
                epoch?: (string|null);

                /** Announcement connections */
                connections?: (number|null);

                /** Announcement leaving */
                leaving?: (boolean|null);

                /** Announcement acting */
                acting?: (number[]|null);

                /** Announcement connectionsMax */
                connectionsMax?: (number|null);

                /** Announcement reachable */
                reachable?: (boolean|null);

                /** Announcement draining */
                draining?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Announcement. */
            type $Shape = tailrace.v1.Announcement.$Properties;
        }

        /**
         * Properties of a RelayFrame.
         * @deprecated Use tailrace.v1.RelayFrame.$Properties instead.
         */
        interface IRelayFrame extends tailrace.v1.RelayFrame.$Properties {
        }

        /** Represents a RelayFrame. */
        class RelayFrame {

            /**
             * Constructs a new RelayFrame.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.RelayFrame.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** RelayFrame epoch. */
            epoch: string;

            /** RelayFrame partition. */
            partition: number;

            /** RelayFrame generation. */
            generation: number;

            /** RelayFrame previous. */
            previous: number;

            /** RelayFrame next. */
            next: number;

            /** RelayFrame updates. */
            updates: tailrace.v1.RelayUpdate.$Properties[];

            /** RelayFrame node. */
            node: string;

            /** RelayFrame presences. */
            presences: tailrace.v1.Presence.$Properties[];

            /** RelayFrame watermark. */
            watermark: number;

            /** RelayFrame told. */
            told: number;

            /** RelayFrame chain. */
            chain: number;

            /** RelayFrame traceparent. */
            traceparent: string;

            /** RelayFrame unreadable. */
            unreadable: tailrace.v1.UnreadableRange.$Properties[];

            /** RelayFrame sentMs. */
            sentMs: number;

            /** RelayFrame behindMs. */
            behindMs: number;

            /**
             * Encodes the specified RelayFrame message. Does not implicitly {@link tailrace.v1.RelayFrame.verify|verify} messages.
             * @param message RelayFrame message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.RelayFrame.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a RelayFrame message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.RelayFrame & tailrace.v1.RelayFrame.$Shape} RelayFrame
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.RelayFrame & tailrace.v1.RelayFrame.$Shape;
        }

        namespace RelayFrame {

            /** Properties of a RelayFrame. */
            interface $Properties {

                /** RelayFrame epoch */
                epoch?: (string|null);

                /** RelayFrame partition */
                partition?: (number|null);

                /** RelayFrame generation */
                generation?: (number|null);

                /** RelayFrame previous */
                previous?: (number|null);

                /** RelayFrame next */
                next?: (number|null);

                /** RelayFrame updates */
                updates?: (tailrace.v1.RelayUpdate.$Properties[]|null);

                /** RelayFrame node */
                node?: (string|null);

                /** RelayFrame presences */
                presences?: (tailrace.v1.Presence.$Properties[]|null);

                /** RelayFrame watermark */
                watermark?: (number|null);

                /** RelayFrame told */
                told?: (number|null);

                /** RelayFrame chain */
                chain?: (number|null);

                /** RelayFrame traceparent */
                traceparent?: (string|null);

                /** RelayFrame unreadable */
                unreadable?: (tailrace.v1.UnreadableRange.$Properties[]|null);

                /** RelayFrame sentMs */
                sentMs?: (number|null);

                /** RelayFrame behindMs */
                behindMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a RelayFrame. */
            type $Shape = tailrace.v1.RelayFrame.$Properties;
        }

        /**
         * Properties of a Presence.
         * @deprecated Use tailrace.v1.Presence.$Properties instead.
         */
        interface IPresence extends tailrace.v1.Presence.$Properties {
        }

        /** Represents a Presence. */
        class Presence {

            /**
             * Constructs a new Presence.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Presence.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Presence device. */
            device: string;

            /** Presence state. */
            state: tailrace.v1.PresenceState;

            /** Presence since. */
            since: number;

            /** Presence seq. */
            seq: number;

            /** Presence session. */
            session: number;

            /**
             * Encodes the specified Presence message. Does not implicitly {@link tailrace.v1.Presence.verify|verify} messages.
             * @param message Presence message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Presence.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Presence message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Presence & tailrace.v1.Presence.$Shape} Presence
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Presence & tailrace.v1.Presence.$Shape;
        }

        namespace Presence {

            /** Properties of a Presence. */
            interface $Properties {

                /** Presence device */
                device?: (string|null);

                /** Presence state */
                state?: (tailrace.v1.PresenceState|null);

                /** Presence since */
                since?: (number|null);

                /** Presence seq */
                seq?: (number|null);

                /** Presence session */
                session?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Presence. */
            type $Shape = tailrace.v1.Presence.$Properties;
        }

        /** PresenceState enum. */
        enum PresenceState {

            /** PRESENCE_STATE_UNSPECIFIED value */
            PRESENCE_STATE_UNSPECIFIED = 0,

            /** PRESENCE_STATE_STALE value */
            PRESENCE_STATE_STALE = 1,

            /** PRESENCE_STATE_OFFLINE value */
            PRESENCE_STATE_OFFLINE = 2
        }

        /**
         * Properties of a RelayUpdate.
         * @deprecated Use tailrace.v1.RelayUpdate.$Properties instead.
         */
        interface IRelayUpdate extends tailrace.v1.RelayUpdate.$Properties {
        }

        /** Represents a RelayUpdate. */
        class RelayUpdate {

            /**
             * Constructs a new RelayUpdate.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.RelayUpdate.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** RelayUpdate seq. */
            seq: number;

            /** RelayUpdate report. */
            report: Uint8Array;

            /**
             * Encodes the specified RelayUpdate message. Does not implicitly {@link tailrace.v1.RelayUpdate.verify|verify} messages.
             * @param message RelayUpdate message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.RelayUpdate.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a RelayUpdate message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.RelayUpdate & tailrace.v1.RelayUpdate.$Shape} RelayUpdate
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.RelayUpdate & tailrace.v1.RelayUpdate.$Shape;
        }

        namespace RelayUpdate {

            /** Properties of a RelayUpdate. */
            interface $Properties {

                /** RelayUpdate seq */
                seq?: (number|null);

                /** RelayUpdate report */
                report?: (Uint8Array|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a RelayUpdate. */
            type $Shape = tailrace.v1.RelayUpdate.$Properties;
        }

        /**
         * Properties of an UnreadableRange.
         * @deprecated Use tailrace.v1.UnreadableRange.$Properties instead.
         */
        interface IUnreadableRange extends tailrace.v1.UnreadableRange.$Properties {
        }

        /** Represents an UnreadableRange. */
        class UnreadableRange {

            /**
             * Constructs a new UnreadableRange.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.UnreadableRange.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** UnreadableRange from. */
            from: number;

            /** UnreadableRange until. */
            until: number;

            /**
             * Encodes the specified UnreadableRange message. Does not implicitly {@link tailrace.v1.UnreadableRange.verify|verify} messages.
             * @param message UnreadableRange message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.UnreadableRange.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an UnreadableRange message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.UnreadableRange & tailrace.v1.UnreadableRange.$Shape} UnreadableRange
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.UnreadableRange & tailrace.v1.UnreadableRange.$Shape;
        }

        namespace UnreadableRange {

            /** Properties of an UnreadableRange. */
            interface $Properties {

                /** UnreadableRange from */
                from?: (number|null);

                /** UnreadableRange until */
                until?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an UnreadableRange. */
            type $Shape = tailrace.v1.UnreadableRange.$Properties;
        }

        /**
         * Properties of an OwnerRequest.
         * @deprecated Use tailrace.v1.OwnerRequest.$Properties instead.
         */
        interface IOwnerRequest extends tailrace.v1.OwnerRequest.$Properties {
        }

        /** Represents an OwnerRequest. */
        class OwnerRequest {

            /**
             * Constructs a new OwnerRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.OwnerRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** OwnerRequest node. */
            node: string;

            /** OwnerRequest partition. */
            partition: number;

            /** OwnerRequest interests. */
            interests: tailrace.v1.Interest.$Properties[];

            /** OwnerRequest released. */
            released: string[];

            /** OwnerRequest held. */
            held: number;

            /** OwnerRequest repeats. */
            repeats?: (tailrace.v1.PositionRange.$Properties|null);

            /** OwnerRequest deadlineMs. */
            deadlineMs: number;

            /** OwnerRequest devices. */
            devices?: (tailrace.v1.DeviceListRequest.$Properties|null);

            /** OwnerRequest events. */
            events?: (tailrace.v1.EventsRequest.$Properties|null);

            /**
             * Encodes the specified OwnerRequest message. Does not implicitly {@link tailrace.v1.OwnerRequest.verify|verify} messages.
             * @param message OwnerRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.OwnerRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an OwnerRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.OwnerRequest & tailrace.v1.OwnerRequest.$Shape} OwnerRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.OwnerRequest & tailrace.v1.OwnerRequest.$Shape;
        }

        namespace OwnerRequest {

            /** Properties of an OwnerRequest. */
            interface $Properties {

                /** OwnerRequest node */
                node?: (string|null);

                /** OwnerRequest partition */
                partition?: (number|null);

                /** OwnerRequest interests */
                interests?: (tailrace.v1.Interest.$Properties[]|null);

                /** OwnerRequest released */
                released?: (string[]|null);

                /** OwnerRequest held */
                held?: (number|null);

                /** OwnerRequest repeats */
                repeats?: (tailrace.v1.PositionRange.$Properties|null);

                /** OwnerRequest deadlineMs */
                deadlineMs?: (number|null);

                /** OwnerRequest devices */
                devices?: (tailrace.v1.DeviceListRequest.$Properties|null);

                /** OwnerRequest events */
                events?: (tailrace.v1.EventsRequest.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an OwnerRequest. */
            type $Shape = tailrace.v1.OwnerRequest.$Properties;
        }

        /**
         * Properties of an EventsRequest.
         * @deprecated Use tailrace.v1.EventsRequest.$Properties instead.
         */
        interface IEventsRequest extends tailrace.v1.EventsRequest.$Properties {
        }

        /** Represents an EventsRequest. */
        class EventsRequest {

            /**
             * Constructs a new EventsRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.EventsRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** EventsRequest from. */
            from?: (number|null);

            /** EventsRequest until. */
            until?: (number|null);

            /** EventsRequest epoch. */
            epoch: string;

            /**
             * Encodes the specified EventsRequest message. Does not implicitly {@link tailrace.v1.EventsRequest.verify|verify} messages.
             * @param message EventsRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.EventsRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an EventsRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.EventsRequest & tailrace.v1.EventsRequest.$Shape} EventsRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.EventsRequest & tailrace.v1.EventsRequest.$Shape;
        }

        namespace EventsRequest {

            /** Properties of an EventsRequest. */
            interface $Properties {

                /** EventsRequest from */
                from?: (number|null);

                /** EventsRequest until */
                until?: (number|null);

                /** EventsRequest epoch */
                epoch?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an EventsRequest. */
            type $Shape = tailrace.v1.EventsRequest.$Properties;
        }

        /**
         * Properties of an EventsReply.
         * @deprecated Use tailrace.v1.EventsReply.$Properties instead.
         */
        interface IEventsReply extends tailrace.v1.EventsReply.$Properties {
        }

        /** Represents an EventsReply. */
        class EventsReply {

            /**
             * Constructs a new EventsReply.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.EventsReply.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** EventsReply next. */
            next: number;

            /** EventsReply from. */
            from: number;

            /** EventsReply current. */
            current: boolean;

            /** EventsReply events. */
            events: tailrace.v1.RelayEvent.$Properties[];

            /** EventsReply alarmOwner. */
            alarmOwner: number;

            /**
             * Encodes the specified EventsReply message. Does not implicitly {@link tailrace.v1.EventsReply.verify|verify} messages.
             * @param message EventsReply message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.EventsReply.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an EventsReply message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.EventsReply & tailrace.v1.EventsReply.$Shape} EventsReply
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.EventsReply & tailrace.v1.EventsReply.$Shape;
        }

        namespace EventsReply {

            /** Properties of an EventsReply. */
            interface $Properties {

                /** EventsReply next */
                next?: (number|null);

                /** EventsReply from */
                from?: (number|null);

                /** EventsReply current */
                current?: (boolean|null);

                /** EventsReply events */
                events?: (tailrace.v1.RelayEvent.$Properties[]|null);

                /** EventsReply alarmOwner */
                alarmOwner?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an EventsReply. */
            type $Shape = tailrace.v1.EventsReply.$Properties;
        }

        /**
         * Properties of a RelayEvent.
         * @deprecated Use tailrace.v1.RelayEvent.$Properties instead.
         */
        interface IRelayEvent extends tailrace.v1.RelayEvent.$Properties {
        }

        /** Represents a RelayEvent. */
        class RelayEvent {

            /**
             * Constructs a new RelayEvent.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.RelayEvent.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** RelayEvent seq. */
            seq?: (number|null);

            /** RelayEvent event. */
            event: Uint8Array;

            /**
             * Encodes the specified RelayEvent message. Does not implicitly {@link tailrace.v1.RelayEvent.verify|verify} messages.
             * @param message RelayEvent message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.RelayEvent.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a RelayEvent message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.RelayEvent & tailrace.v1.RelayEvent.$Shape} RelayEvent
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.RelayEvent & tailrace.v1.RelayEvent.$Shape;
        }

        namespace RelayEvent {

            /** Properties of a RelayEvent. */
            interface $Properties {

                /** RelayEvent seq */
                seq?: (number|null);

                /** RelayEvent event */
                event?: (Uint8Array|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a RelayEvent. */
            type $Shape = tailrace.v1.RelayEvent.$Properties;
        }

        /**
         * Properties of an EventFrame.
         * @deprecated Use tailrace.v1.EventFrame.$Properties instead.
         */
        interface IEventFrame extends tailrace.v1.EventFrame.$Properties {
        }

        /** Represents an EventFrame. */
        class EventFrame {

            /**
             * Constructs a new EventFrame.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.EventFrame.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** EventFrame node. */
            node: string;

            /** EventFrame epoch. */
            epoch: string;

            /** EventFrame partition. */
            partition: number;

            /** EventFrame generation. */
            generation: number;

            /** EventFrame previous. */
            previous: number;

            /** EventFrame next. */
            next: number;

            /** EventFrame events. */
            events: tailrace.v1.RelayEvent.$Properties[];

            /** EventFrame alarmOwner. */
            alarmOwner: number;

            /**
             * Encodes the specified EventFrame message. Does not implicitly {@link tailrace.v1.EventFrame.verify|verify} messages.
             * @param message EventFrame message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.EventFrame.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an EventFrame message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.EventFrame & tailrace.v1.EventFrame.$Shape} EventFrame
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.EventFrame & tailrace.v1.EventFrame.$Shape;
        }

        namespace EventFrame {

            /** Properties of an EventFrame. */
            interface $Properties {

                /** EventFrame node */
                node?: (string|null);

                /** EventFrame epoch */
                epoch?: (string|null);

                /** EventFrame partition */
                partition?: (number|null);

                /** EventFrame generation */
                generation?: (number|null);

                /** EventFrame previous */
                previous?: (number|null);

                /** EventFrame next */
                next?: (number|null);

                /** EventFrame events */
                events?: (tailrace.v1.RelayEvent.$Properties[]|null);

                /** EventFrame alarmOwner */
                alarmOwner?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an EventFrame. */
            type $Shape = tailrace.v1.EventFrame.$Properties;
        }

        /**
         * Properties of a DeviceListRequest.
         * @deprecated Use tailrace.v1.DeviceListRequest.$Properties instead.
         */
        interface IDeviceListRequest extends tailrace.v1.DeviceListRequest.$Properties {
        }

        /** Represents a DeviceListRequest. */
        class DeviceListRequest {

            /**
             * Constructs a new DeviceListRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.DeviceListRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** DeviceListRequest partitions. */
            partitions: number[];

            /** DeviceListRequest patterns. */
            patterns: string[];

            /** DeviceListRequest after. */
            after: string;

            /** DeviceListRequest limit. */
            limit: number;

            /** DeviceListRequest counts. */
            counts: boolean;

            /**
             * Encodes the specified DeviceListRequest message. Does not implicitly {@link tailrace.v1.DeviceListRequest.verify|verify} messages.
             * @param message DeviceListRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.DeviceListRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a DeviceListRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.DeviceListRequest & tailrace.v1.DeviceListRequest.$Shape} DeviceListRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.DeviceListRequest & tailrace.v1.DeviceListRequest.$Shape;
        }

        namespace DeviceListRequest {

            /** Properties of a DeviceListRequest. */
            interface $Properties {

                /** DeviceListRequest partitions */
                partitions?: (number[]|null);

                /** DeviceListRequest patterns */
                patterns?: (string[]|null);

                /** DeviceListRequest after */
                after?: (string|null);

                /** DeviceListRequest limit */
                limit?: (number|null);

                /** DeviceListRequest counts */
                counts?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a DeviceListRequest. */
            type $Shape = tailrace.v1.DeviceListRequest.$Properties;
        }

        /**
         * Properties of a PositionRange.
         * @deprecated Use tailrace.v1.PositionRange.$Properties instead.
         */
        interface IPositionRange extends tailrace.v1.PositionRange.$Properties {
        }

        /** Represents a PositionRange. */
        class PositionRange {

            /**
             * Constructs a new PositionRange.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.PositionRange.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** PositionRange from. */
            from: number;

            /** PositionRange until. */
            until: number;

            /**
             * Encodes the specified PositionRange message. Does not implicitly {@link tailrace.v1.PositionRange.verify|verify} messages.
             * @param message PositionRange message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.PositionRange.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a PositionRange message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.PositionRange & tailrace.v1.PositionRange.$Shape} PositionRange
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.PositionRange & tailrace.v1.PositionRange.$Shape;
        }

        namespace PositionRange {

            /** Properties of a PositionRange. */
            interface $Properties {

                /** PositionRange from */
                from?: (number|null);

                /** PositionRange until */
                until?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a PositionRange. */
            type $Shape = tailrace.v1.PositionRange.$Properties;
        }

        /**
         * Properties of an Interest.
         * @deprecated Use tailrace.v1.Interest.$Properties instead.
         */
        interface IInterest extends tailrace.v1.Interest.$Properties {
        }

        /** Represents an Interest. */
        class Interest {

            /**
             * Constructs a new Interest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.Interest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Interest channel. */
            channel: string;

            /** Interest from. */
            from?: (number|null);

            /**
             * Encodes the specified Interest message. Does not implicitly {@link tailrace.v1.Interest.verify|verify} messages.
             * @param message Interest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.Interest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Interest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.Interest & tailrace.v1.Interest.$Shape} Interest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.Interest & tailrace.v1.Interest.$Shape;
        }

        namespace Interest {

            /** Properties of an Interest. */
            interface $Properties {

                /** Interest channel */
                channel?: (string|null);

                /** Interest from */
                from?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Interest. */
            type $Shape = tailrace.v1.Interest.$Properties;
        }

        /**
         * Properties of an OwnerReply.
         * @deprecated Use tailrace.v1.OwnerReply.$Properties instead.
         */
        interface IOwnerReply extends tailrace.v1.OwnerReply.$Properties {
        }

        /** Represents an OwnerReply. */
        class OwnerReply {

            /**
             * Constructs a new OwnerReply.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.OwnerReply.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** OwnerReply generation. */
            generation: number;

            /** OwnerReply next. */
            next: number;

            /** OwnerReply channel. */
            channel: string;

            /** OwnerReply updates. */
            updates: tailrace.v1.RelayUpdate.$Properties[];

            /** OwnerReply missingUntil. */
            missingUntil?: (number|null);

            /** OwnerReply presences. */
            presences: tailrace.v1.Presence.$Properties[];

            /** OwnerReply told. */
            told: number;

            /** OwnerReply chain. */
            chain: number;

            /** OwnerReply unreadable. */
            unreadable: tailrace.v1.UnreadableRange.$Properties[];

            /** OwnerReply sentMs. */
            sentMs: number;

            /** OwnerReply behindMs. */
            behindMs: number;

            /** OwnerReply decidedFrom. */
            decidedFrom?: (number|null);

            /** OwnerReply repeated. */
            repeated: number[];

            /** OwnerReply deferred. */
            deferred: boolean;

            /** OwnerReply devices. */
            devices?: (tailrace.v1.DeviceList.$Properties|null);

            /** OwnerReply events. */
            events?: (tailrace.v1.EventsReply.$Properties|null);

            /**
             * Encodes the specified OwnerReply message. Does not implicitly {@link tailrace.v1.OwnerReply.verify|verify} messages.
             * @param message OwnerReply message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.OwnerReply.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an OwnerReply message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.OwnerReply & tailrace.v1.OwnerReply.$Shape} OwnerReply
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.OwnerReply & tailrace.v1.OwnerReply.$Shape;
        }

        namespace OwnerReply {

            /** Properties of an OwnerReply. */
            interface $Properties {

                /** OwnerReply generation */
                generation?: (number|null);

                /** OwnerReply next */
                next?: (number|null);

                /** OwnerReply channel */
                channel?: (string|null);

                /** OwnerReply updates */
                updates?: (tailrace.v1.RelayUpdate.$Properties[]|null);

                /** OwnerReply missingUntil */
                missingUntil?: (number|null);

                /** OwnerReply presences */
                presences?: (tailrace.v1.Presence.$Properties[]|null);

                /** OwnerReply told */
                told?: (number|null);

                /** OwnerReply chain */
                chain?: (number|null);

                /** OwnerReply unreadable */
                unreadable?: (tailrace.v1.UnreadableRange.$Properties[]|null);

                /** OwnerReply sentMs */
                sentMs?: (number|null);

                /** OwnerReply behindMs */
                behindMs?: (number|null);

                /** OwnerReply decidedFrom */
                decidedFrom?: (number|null);

                /** OwnerReply repeated */
                repeated?: (number[]|null);

                /** OwnerReply deferred */
                deferred?: (boolean|null);

                /** OwnerReply devices */
                devices?: (tailrace.v1.DeviceList.$Properties|null);

                /** OwnerReply events */
                events?: (tailrace.v1.EventsReply.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an OwnerReply. */
            type $Shape = tailrace.v1.OwnerReply.$Properties;
        }

        /**
         * Properties of a DeviceList.
         * @deprecated Use tailrace.v1.DeviceList.$Properties instead.
         */
        interface IDeviceList extends tailrace.v1.DeviceList.$Properties {
        }

        /** Represents a DeviceList. */
        class DeviceList {

            /**
             * Constructs a new DeviceList.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.DeviceList.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** DeviceList partitions. */
            partitions: number[];

            /** DeviceList devices. */
            devices: tailrace.v1.ListedDevice.$Properties[];

            /** DeviceList count. */
            count: number;

            /** DeviceList notOnline. */
            notOnline: number;

            /**
             * Encodes the specified DeviceList message. Does not implicitly {@link tailrace.v1.DeviceList.verify|verify} messages.
             * @param message DeviceList message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.DeviceList.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a DeviceList message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.DeviceList & tailrace.v1.DeviceList.$Shape} DeviceList
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.DeviceList & tailrace.v1.DeviceList.$Shape;
        }

        namespace DeviceList {

            /** Properties of a DeviceList. */
            interface $Properties {

                /** DeviceList partitions */
                partitions?: (number[]|null);

                /** DeviceList devices */
                devices?: (tailrace.v1.ListedDevice.$Properties[]|null);

                /** DeviceList count */
                count?: (number|null);

                /** DeviceList notOnline */
                notOnline?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a DeviceList. */
            type $Shape = tailrace.v1.DeviceList.$Properties;
        }

        /**
         * Properties of a ListedDevice.
         * @deprecated Use tailrace.v1.ListedDevice.$Properties instead.
         */
        interface IListedDevice extends tailrace.v1.ListedDevice.$Properties {
        }

        /** Represents a ListedDevice. */
        class ListedDevice {

            /**
             * Constructs a new ListedDevice.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.ListedDevice.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ListedDevice path. */
            path: string;

            /** ListedDevice received. */
            received: number;

            /** ListedDevice state. */
            state: tailrace.v1.PresenceState;

            /**
             * Encodes the specified ListedDevice message. Does not implicitly {@link tailrace.v1.ListedDevice.verify|verify} messages.
             * @param message ListedDevice message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.ListedDevice.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ListedDevice message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.ListedDevice & tailrace.v1.ListedDevice.$Shape} ListedDevice
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.ListedDevice & tailrace.v1.ListedDevice.$Shape;
        }

        namespace ListedDevice {

            /** Properties of a ListedDevice. */
            interface $Properties {

                /** ListedDevice path */
                path?: (string|null);

                /** ListedDevice received */
                received?: (number|null);

                /** ListedDevice state */
                state?: (tailrace.v1.PresenceState|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ListedDevice. */
            type $Shape = tailrace.v1.ListedDevice.$Properties;
        }

        /** SessionState enum. */
        enum SessionState {

            /** SESSION_STATE_UNSPECIFIED value */
            SESSION_STATE_UNSPECIFIED = 0,

            /** SESSION_STATE_OPEN value */
            SESSION_STATE_OPEN = 1,

            /** SESSION_STATE_CLOSED value */
            SESSION_STATE_CLOSED = 2
        }

        /**
         * Properties of a SessionClaim.
         * @deprecated Use tailrace.v1.SessionClaim.$Properties instead.
         */
        interface ISessionClaim extends tailrace.v1.SessionClaim.$Properties {
        }

        /** Represents a SessionClaim. */
        class SessionClaim {

            /**
             * Constructs a new SessionClaim.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.SessionClaim.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SessionClaim device. */
            device: string;

            /** SessionClaim number. */
            number: number;

            /** SessionClaim node. */
            node: string;

            /** SessionClaim boot. */
            boot: string;

            /** SessionClaim openedMs. */
            openedMs: number;

            /** SessionClaim protocol. */
            protocol: string;

            /** SessionClaim address. */
            address: string;

            /** SessionClaim state. */
            state: tailrace.v1.SessionState;

            /** SessionClaim fresh. */
            fresh: boolean;

            /**
             * Encodes the specified SessionClaim message. Does not implicitly {@link tailrace.v1.SessionClaim.verify|verify} messages.
             * @param message SessionClaim message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.SessionClaim.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SessionClaim message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.SessionClaim & tailrace.v1.SessionClaim.$Shape} SessionClaim
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.SessionClaim & tailrace.v1.SessionClaim.$Shape;
        }

        namespace SessionClaim {

            /** Properties of a SessionClaim. */
            interface $Properties {

                /** SessionClaim device */
                device?: (string|null);

                /** SessionClaim number */
                number?: (number|null);

                /** SessionClaim node */
                node?: (string|null);

                /** SessionClaim boot */
                boot?: (string|null);

                /** SessionClaim openedMs */
                openedMs?: (number|null);

                /** SessionClaim protocol */
                protocol?: (string|null);

                /** SessionClaim address */
                address?: (string|null);

                /** SessionClaim state */
                state?: (tailrace.v1.SessionState|null);

                /** SessionClaim fresh */
                fresh?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SessionClaim. */
            type $Shape = tailrace.v1.SessionClaim.$Properties;
        }

        /**
         * Properties of a UsedNonces.
         * @deprecated Use tailrace.v1.UsedNonces.$Properties instead.
         */
        interface IUsedNonces extends tailrace.v1.UsedNonces.$Properties {
        }

        /** Represents a UsedNonces. */
        class UsedNonces {

            /**
             * Constructs a new UsedNonces.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.UsedNonces.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** UsedNonces node. */
            node: string;

            /** UsedNonces boot. */
            boot: string;

            /** UsedNonces hashes. */
            hashes: Uint8Array;

            /** UsedNonces untilMs. */
            untilMs: number[];

            /**
             * Encodes the specified UsedNonces message. Does not implicitly {@link tailrace.v1.UsedNonces.verify|verify} messages.
             * @param message UsedNonces message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.UsedNonces.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a UsedNonces message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.UsedNonces & tailrace.v1.UsedNonces.$Shape} UsedNonces
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.UsedNonces & tailrace.v1.UsedNonces.$Shape;
        }

        namespace UsedNonces {

            /** Properties of a UsedNonces. */
            interface $Properties {

                /** UsedNonces node */
                node?: (string|null);

                /** UsedNonces boot */
                boot?: (string|null);

                /** UsedNonces hashes */
                hashes?: (Uint8Array|null);

                /** UsedNonces untilMs */
                untilMs?: (number[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a UsedNonces. */
            type $Shape = tailrace.v1.UsedNonces.$Properties;
        }

        /**
         * Properties of an IngestAnnouncement.
         * @deprecated Use tailrace.v1.IngestAnnouncement.$Properties instead.
         */
        interface IIngestAnnouncement extends tailrace.v1.IngestAnnouncement.$Properties {
        }

        /** Represents an IngestAnnouncement. */
        class IngestAnnouncement {

            /**
             * Constructs a new IngestAnnouncement.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.IngestAnnouncement.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** IngestAnnouncement node. */
            node: string;

            /** IngestAnnouncement boot. */
            boot: string;

            /** IngestAnnouncement sessions. */
            sessions: number;

            /** IngestAnnouncement digestHigh. */
            digestHigh: number;

            /** IngestAnnouncement digestLow. */
            digestLow: number;

            /** IngestAnnouncement leaving. */
            leaving: boolean;

            /**
             * Encodes the specified IngestAnnouncement message. Does not implicitly {@link tailrace.v1.IngestAnnouncement.verify|verify} messages.
             * @param message IngestAnnouncement message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.IngestAnnouncement.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an IngestAnnouncement message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.IngestAnnouncement & tailrace.v1.IngestAnnouncement.$Shape} IngestAnnouncement
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.IngestAnnouncement & tailrace.v1.IngestAnnouncement.$Shape;
        }

        namespace IngestAnnouncement {

            /** Properties of an IngestAnnouncement. */
            interface $Properties {

                /** IngestAnnouncement node */
                node?: (string|null);

                /** IngestAnnouncement boot */
                boot?: (string|null);

                /** IngestAnnouncement sessions */
                sessions?: (number|null);

                /** IngestAnnouncement digestHigh */
                digestHigh?: (number|null);

                /** IngestAnnouncement digestLow */
                digestLow?: (number|null);

                /** IngestAnnouncement leaving */
                leaving?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an IngestAnnouncement. */
            type $Shape = tailrace.v1.IngestAnnouncement.$Properties;
        }

        /**
         * Properties of an IngestRequest.
         * @deprecated Use tailrace.v1.IngestRequest.$Properties instead.
         */
        interface IIngestRequest extends tailrace.v1.IngestRequest.$Properties {
        }

        /** Represents an IngestRequest. */
        class IngestRequest {

            /**
             * Constructs a new IngestRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.IngestRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** IngestRequest takeOver. */
            takeOver?: (tailrace.v1.TakeOverRequest.$Properties|null);

            /** IngestRequest sessions. */
            sessions?: (tailrace.v1.SessionListRequest.$Properties|null);

            /** IngestRequest find. */
            find?: (tailrace.v1.SessionFindRequest.$Properties|null);

            /** IngestRequest unsettled. */
            unsettled?: (tailrace.v1.UnsettledRequest.$Properties|null);

            /** IngestRequest request. */
            request?: ("takeOver"|"sessions"|"find"|"unsettled");

            /**
             * Encodes the specified IngestRequest message. Does not implicitly {@link tailrace.v1.IngestRequest.verify|verify} messages.
             * @param message IngestRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.IngestRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an IngestRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.IngestRequest & tailrace.v1.IngestRequest.$Shape} IngestRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.IngestRequest & tailrace.v1.IngestRequest.$Shape;
        }

        namespace IngestRequest {

            /** Properties of an IngestRequest. */
            interface $Properties {

                /** IngestRequest takeOver */
                takeOver?: (tailrace.v1.TakeOverRequest.$Properties|null);

                /** IngestRequest sessions */
                sessions?: (tailrace.v1.SessionListRequest.$Properties|null);

                /** IngestRequest find */
                find?: (tailrace.v1.SessionFindRequest.$Properties|null);

                /** IngestRequest unsettled */
                unsettled?: (tailrace.v1.UnsettledRequest.$Properties|null);

                /** IngestRequest request */
                request?: ("takeOver"|"sessions"|"find"|"unsettled");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of an IngestRequest. */
            type $Shape = {
              takeOver?: tailrace.v1.TakeOverRequest.$Shape|null;
              sessions?: tailrace.v1.SessionListRequest.$Shape|null;
              find?: tailrace.v1.SessionFindRequest.$Shape|null;
              unsettled?: tailrace.v1.UnsettledRequest.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ request?: undefined; takeOver?: null; sessions?: null; find?: null; unsettled?: null }|{ request?: "takeOver"; takeOver: tailrace.v1.TakeOverRequest.$Shape; sessions?: null; find?: null; unsettled?: null }|{ request?: "sessions"; takeOver?: null; sessions: tailrace.v1.SessionListRequest.$Shape; find?: null; unsettled?: null }|{ request?: "find"; takeOver?: null; sessions?: null; find: tailrace.v1.SessionFindRequest.$Shape; unsettled?: null }|{ request?: "unsettled"; takeOver?: null; sessions?: null; find?: null; unsettled: tailrace.v1.UnsettledRequest.$Shape })
            );
        }

        /**
         * Properties of an IngestReply.
         * @deprecated Use tailrace.v1.IngestReply.$Properties instead.
         */
        interface IIngestReply extends tailrace.v1.IngestReply.$Properties {
        }

        /** Represents an IngestReply. */
        class IngestReply {

            /**
             * Constructs a new IngestReply.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.IngestReply.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** IngestReply takeOver. */
            takeOver?: (tailrace.v1.TakeOverReply.$Properties|null);

            /** IngestReply sessions. */
            sessions?: (tailrace.v1.SessionList.$Properties|null);

            /** IngestReply find. */
            find?: (tailrace.v1.FoundSession.$Properties|null);

            /** IngestReply reply. */
            reply?: ("takeOver"|"sessions"|"find");

            /**
             * Encodes the specified IngestReply message. Does not implicitly {@link tailrace.v1.IngestReply.verify|verify} messages.
             * @param message IngestReply message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.IngestReply.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an IngestReply message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.IngestReply & tailrace.v1.IngestReply.$Shape} IngestReply
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.IngestReply & tailrace.v1.IngestReply.$Shape;
        }

        namespace IngestReply {

            /** Properties of an IngestReply. */
            interface $Properties {

                /** IngestReply takeOver */
                takeOver?: (tailrace.v1.TakeOverReply.$Properties|null);

                /** IngestReply sessions */
                sessions?: (tailrace.v1.SessionList.$Properties|null);

                /** IngestReply find */
                find?: (tailrace.v1.FoundSession.$Properties|null);

                /** IngestReply reply */
                reply?: ("takeOver"|"sessions"|"find");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of an IngestReply. */
            type $Shape = {
              takeOver?: tailrace.v1.TakeOverReply.$Shape|null;
              sessions?: tailrace.v1.SessionList.$Shape|null;
              find?: tailrace.v1.FoundSession.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ reply?: undefined; takeOver?: null; sessions?: null; find?: null }|{ reply?: "takeOver"; takeOver: tailrace.v1.TakeOverReply.$Shape; sessions?: null; find?: null }|{ reply?: "sessions"; takeOver?: null; sessions: tailrace.v1.SessionList.$Shape; find?: null }|{ reply?: "find"; takeOver?: null; sessions?: null; find: tailrace.v1.FoundSession.$Shape })
            );
        }

        /**
         * Properties of a TakeOverRequest.
         * @deprecated Use tailrace.v1.TakeOverRequest.$Properties instead.
         */
        interface ITakeOverRequest extends tailrace.v1.TakeOverRequest.$Properties {
        }

        /** Represents a TakeOverRequest. */
        class TakeOverRequest {

            /**
             * Constructs a new TakeOverRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.TakeOverRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** TakeOverRequest boot. */
            boot: string;

            /** TakeOverRequest device. */
            device: string;

            /** TakeOverRequest node. */
            node: string;

            /** TakeOverRequest address. */
            address: string;

            /** TakeOverRequest instance. */
            instance: string;

            /** TakeOverRequest hasWaited. */
            hasWaited: boolean;

            /** TakeOverRequest client. */
            client: string;

            /** TakeOverRequest clean. */
            clean: boolean;

            /**
             * Encodes the specified TakeOverRequest message. Does not implicitly {@link tailrace.v1.TakeOverRequest.verify|verify} messages.
             * @param message TakeOverRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.TakeOverRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a TakeOverRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.TakeOverRequest & tailrace.v1.TakeOverRequest.$Shape} TakeOverRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.TakeOverRequest & tailrace.v1.TakeOverRequest.$Shape;
        }

        namespace TakeOverRequest {

            /** Properties of a TakeOverRequest. */
            interface $Properties {

                /** TakeOverRequest boot */
                boot?: (string|null);

                /** TakeOverRequest device */
                device?: (string|null);

                /** TakeOverRequest node */
                node?: (string|null);

                /** TakeOverRequest address */
                address?: (string|null);

                /** TakeOverRequest instance */
                instance?: (string|null);

                /** TakeOverRequest hasWaited */
                hasWaited?: (boolean|null);

                /** TakeOverRequest client */
                client?: (string|null);

                /** TakeOverRequest clean */
                clean?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a TakeOverRequest. */
            type $Shape = tailrace.v1.TakeOverRequest.$Properties;
        }

        /**
         * Properties of an UnsettledRequest.
         * @deprecated Use tailrace.v1.UnsettledRequest.$Properties instead.
         */
        interface IUnsettledRequest extends tailrace.v1.UnsettledRequest.$Properties {
        }

        /** Represents an UnsettledRequest. */
        class UnsettledRequest {

            /**
             * Constructs a new UnsettledRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.UnsettledRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** UnsettledRequest boot. */
            boot: string;

            /** UnsettledRequest device. */
            device: string;

            /**
             * Encodes the specified UnsettledRequest message. Does not implicitly {@link tailrace.v1.UnsettledRequest.verify|verify} messages.
             * @param message UnsettledRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.UnsettledRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an UnsettledRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.UnsettledRequest & tailrace.v1.UnsettledRequest.$Shape} UnsettledRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.UnsettledRequest & tailrace.v1.UnsettledRequest.$Shape;
        }

        namespace UnsettledRequest {

            /** Properties of an UnsettledRequest. */
            interface $Properties {

                /** UnsettledRequest boot */
                boot?: (string|null);

                /** UnsettledRequest device */
                device?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an UnsettledRequest. */
            type $Shape = tailrace.v1.UnsettledRequest.$Properties;
        }

        /**
         * Properties of a TakeOverReply.
         * @deprecated Use tailrace.v1.TakeOverReply.$Properties instead.
         */
        interface ITakeOverReply extends tailrace.v1.TakeOverReply.$Properties {
        }

        /** Represents a TakeOverReply. */
        class TakeOverReply {

            /**
             * Constructs a new TakeOverReply.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.TakeOverReply.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** TakeOverReply waitMs. */
            waitMs: number;

            /** TakeOverReply number. */
            number: number;

            /** TakeOverReply recentIds. */
            recentIds: Uint8Array;

            /** TakeOverReply lastSeq. */
            lastSeq?: (number|null);

            /** TakeOverReply settled. */
            settled: boolean;

            /** TakeOverReply takeovers. */
            takeovers: number;

            /** TakeOverReply clientState. */
            clientState?: (Uint8Array|null);

            /**
             * Encodes the specified TakeOverReply message. Does not implicitly {@link tailrace.v1.TakeOverReply.verify|verify} messages.
             * @param message TakeOverReply message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.TakeOverReply.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a TakeOverReply message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.TakeOverReply & tailrace.v1.TakeOverReply.$Shape} TakeOverReply
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.TakeOverReply & tailrace.v1.TakeOverReply.$Shape;
        }

        namespace TakeOverReply {

            /** Properties of a TakeOverReply. */
            interface $Properties {

                /** TakeOverReply waitMs */
                waitMs?: (number|null);

                /** TakeOverReply number */
                number?: (number|null);

                /** TakeOverReply recentIds */
                recentIds?: (Uint8Array|null);

                /** TakeOverReply lastSeq */
                lastSeq?: (number|null);

                /** TakeOverReply settled */
                settled?: (boolean|null);

                /** TakeOverReply takeovers */
                takeovers?: (number|null);

                /** TakeOverReply clientState */
                clientState?: (Uint8Array|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a TakeOverReply. */
            type $Shape = tailrace.v1.TakeOverReply.$Properties;
        }

        /**
         * Properties of a SessionListRequest.
         * @deprecated Use tailrace.v1.SessionListRequest.$Properties instead.
         */
        interface ISessionListRequest extends tailrace.v1.SessionListRequest.$Properties {
        }

        /** Represents a SessionListRequest. */
        class SessionListRequest {

            /**
             * Constructs a new SessionListRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.SessionListRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SessionListRequest boot. */
            boot: string;

            /**
             * Encodes the specified SessionListRequest message. Does not implicitly {@link tailrace.v1.SessionListRequest.verify|verify} messages.
             * @param message SessionListRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.SessionListRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SessionListRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.SessionListRequest & tailrace.v1.SessionListRequest.$Shape} SessionListRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.SessionListRequest & tailrace.v1.SessionListRequest.$Shape;
        }

        namespace SessionListRequest {

            /** Properties of a SessionListRequest. */
            interface $Properties {

                /** SessionListRequest boot */
                boot?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SessionListRequest. */
            type $Shape = tailrace.v1.SessionListRequest.$Properties;
        }

        /**
         * Properties of a SessionList.
         * @deprecated Use tailrace.v1.SessionList.$Properties instead.
         */
        interface ISessionList extends tailrace.v1.SessionList.$Properties {
        }

        /** Represents a SessionList. */
        class SessionList {

            /**
             * Constructs a new SessionList.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.SessionList.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SessionList boot. */
            boot: string;

            /** SessionList sessions. */
            sessions: tailrace.v1.SessionClaim.$Properties[];

            /** SessionList until. */
            until: number;

            /**
             * Encodes the specified SessionList message. Does not implicitly {@link tailrace.v1.SessionList.verify|verify} messages.
             * @param message SessionList message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.SessionList.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SessionList message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.SessionList & tailrace.v1.SessionList.$Shape} SessionList
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.SessionList & tailrace.v1.SessionList.$Shape;
        }

        namespace SessionList {

            /** Properties of a SessionList. */
            interface $Properties {

                /** SessionList boot */
                boot?: (string|null);

                /** SessionList sessions */
                sessions?: (tailrace.v1.SessionClaim.$Properties[]|null);

                /** SessionList until */
                until?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SessionList. */
            type $Shape = tailrace.v1.SessionList.$Properties;
        }

        /**
         * Properties of a SessionFindRequest.
         * @deprecated Use tailrace.v1.SessionFindRequest.$Properties instead.
         */
        interface ISessionFindRequest extends tailrace.v1.SessionFindRequest.$Properties {
        }

        /** Represents a SessionFindRequest. */
        class SessionFindRequest {

            /**
             * Constructs a new SessionFindRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.SessionFindRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SessionFindRequest device. */
            device: string;

            /**
             * Encodes the specified SessionFindRequest message. Does not implicitly {@link tailrace.v1.SessionFindRequest.verify|verify} messages.
             * @param message SessionFindRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.SessionFindRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SessionFindRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.SessionFindRequest & tailrace.v1.SessionFindRequest.$Shape} SessionFindRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.SessionFindRequest & tailrace.v1.SessionFindRequest.$Shape;
        }

        namespace SessionFindRequest {

            /** Properties of a SessionFindRequest. */
            interface $Properties {

                /** SessionFindRequest device */
                device?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SessionFindRequest. */
            type $Shape = tailrace.v1.SessionFindRequest.$Properties;
        }

        /**
         * Properties of a FoundSession.
         * @deprecated Use tailrace.v1.FoundSession.$Properties instead.
         */
        interface IFoundSession extends tailrace.v1.FoundSession.$Properties {
        }

        /** Represents a FoundSession. */
        class FoundSession {

            /**
             * Constructs a new FoundSession.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.FoundSession.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** FoundSession node. */
            node: string;

            /** FoundSession number. */
            number: number;

            /** FoundSession open. */
            open: boolean;

            /** FoundSession protocol. */
            protocol: string;

            /**
             * Encodes the specified FoundSession message. Does not implicitly {@link tailrace.v1.FoundSession.verify|verify} messages.
             * @param message FoundSession message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.FoundSession.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a FoundSession message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.FoundSession & tailrace.v1.FoundSession.$Shape} FoundSession
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.FoundSession & tailrace.v1.FoundSession.$Shape;
        }

        namespace FoundSession {

            /** Properties of a FoundSession. */
            interface $Properties {

                /** FoundSession node */
                node?: (string|null);

                /** FoundSession number */
                number?: (number|null);

                /** FoundSession open */
                open?: (boolean|null);

                /** FoundSession protocol */
                protocol?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a FoundSession. */
            type $Shape = tailrace.v1.FoundSession.$Properties;
        }

        /**
         * Properties of a SparkplugAnnouncement.
         * @deprecated Use tailrace.v1.SparkplugAnnouncement.$Properties instead.
         */
        interface ISparkplugAnnouncement extends tailrace.v1.SparkplugAnnouncement.$Properties {
        }

        /** Represents a SparkplugAnnouncement. */
        class SparkplugAnnouncement {

            /**
             * Constructs a new SparkplugAnnouncement.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.SparkplugAnnouncement.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SparkplugAnnouncement node. */
            node: string;

            /** SparkplugAnnouncement boot. */
            boot: string;

            /** SparkplugAnnouncement hosts. */
            hosts: string[];

            /** SparkplugAnnouncement connected. */
            connected: string[];

            /** SparkplugAnnouncement states. */
            states: string[];

            /**
             * Encodes the specified SparkplugAnnouncement message. Does not implicitly {@link tailrace.v1.SparkplugAnnouncement.verify|verify} messages.
             * @param message SparkplugAnnouncement message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.SparkplugAnnouncement.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SparkplugAnnouncement message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.SparkplugAnnouncement & tailrace.v1.SparkplugAnnouncement.$Shape} SparkplugAnnouncement
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.SparkplugAnnouncement & tailrace.v1.SparkplugAnnouncement.$Shape;
        }

        namespace SparkplugAnnouncement {

            /** Properties of a SparkplugAnnouncement. */
            interface $Properties {

                /** SparkplugAnnouncement node */
                node?: (string|null);

                /** SparkplugAnnouncement boot */
                boot?: (string|null);

                /** SparkplugAnnouncement hosts */
                hosts?: (string[]|null);

                /** SparkplugAnnouncement connected */
                connected?: (string[]|null);

                /** SparkplugAnnouncement states */
                states?: (string[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SparkplugAnnouncement. */
            type $Shape = tailrace.v1.SparkplugAnnouncement.$Properties;
        }

        /**
         * Properties of a DeviceState.
         * @deprecated Use tailrace.v1.DeviceState.$Properties instead.
         */
        interface IDeviceState extends tailrace.v1.DeviceState.$Properties {
        }

        /** Represents a DeviceState. */
        class DeviceState {

            /**
             * Constructs a new DeviceState.
             * @param [properties] Properties to set
             */
            constructor(properties?: tailrace.v1.DeviceState.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** DeviceState epoch. */
            epoch: string;

            /** DeviceState generation. */
            generation: number;

            /** DeviceState previous. */
            previous: number;

            /** DeviceState next. */
            next: number;

            /** DeviceState reports. */
            reports: tailrace.v1.RelayUpdate.$Properties[];

            /** DeviceState intervalMs. */
            intervalMs: number;

            /** DeviceState lastMs. */
            lastMs: number;

            /** DeviceState lastSeq. */
            lastSeq: number;

            /**
             * Encodes the specified DeviceState message. Does not implicitly {@link tailrace.v1.DeviceState.verify|verify} messages.
             * @param message DeviceState message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: tailrace.v1.DeviceState.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a DeviceState message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {tailrace.v1.DeviceState & tailrace.v1.DeviceState.$Shape} DeviceState
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): tailrace.v1.DeviceState & tailrace.v1.DeviceState.$Shape;
        }

        namespace DeviceState {

            /** Properties of a DeviceState. */
            interface $Properties {

                /** DeviceState epoch */
                epoch?: (string|null);

                /** DeviceState generation */
                generation?: (number|null);

                /** DeviceState previous */
                previous?: (number|null);

                /** DeviceState next */
                next?: (number|null);

                /** DeviceState reports */
                reports?: (tailrace.v1.RelayUpdate.$Properties[]|null);

                /** DeviceState intervalMs */
                intervalMs?: (number|null);

                /** DeviceState lastMs */
                lastMs?: (number|null);

                /** DeviceState lastSeq */
                lastSeq?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a DeviceState. */
            type $Shape = tailrace.v1.DeviceState.$Properties;
        }
    }
}
