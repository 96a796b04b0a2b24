// Generated from proto/ by scripts/generate.ts. Do not edit.
import type $protobuf from "protobufjs/minimal.js";

/** Namespace tailrace. */
export namespace tailrace {

    /** Namespace v1. */
    namespace v1 {

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

            /** ClientMessage message. */
            message?: ("auth"|"subscribe"|"unsubscribe"|"ping");

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

                /** ClientMessage message */
                message?: ("auth"|"subscribe"|"unsubscribe"|"ping");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a ClientMessage. */
            type $Shape = {
              auth?: tailrace.v1.Auth.$Shape|null;
              subscribe?: tailrace.v1.Subscribe.$Shape|null;
              unsubscribe?: tailrace.v1.Unsubscribe.$Shape|null;
              ping?: tailrace.v1.Ping.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ message?: undefined; auth?: null; subscribe?: null; unsubscribe?: null; ping?: null }|{ message?: "auth"; auth: tailrace.v1.Auth.$Shape; subscribe?: null; unsubscribe?: null; ping?: null }|{ message?: "subscribe"; auth?: null; subscribe: tailrace.v1.Subscribe.$Shape; unsubscribe?: null; ping?: null }|{ message?: "unsubscribe"; auth?: null; subscribe?: null; unsubscribe: tailrace.v1.Unsubscribe.$Shape; ping?: null }|{ message?: "ping"; auth?: null; subscribe?: null; unsubscribe?: null; ping: tailrace.v1.Ping.$Shape })
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

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Subscribe. */
            type $Shape = tailrace.v1.Subscribe.$Properties;
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

            /** ServerMessage message. */
            message?: ("welcome"|"subscribed"|"data"|"unsubscribed"|"pong"|"draining"|"error");

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

                /** ServerMessage message */
                message?: ("welcome"|"subscribed"|"data"|"unsubscribed"|"pong"|"draining"|"error");

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
              $unknowns?: Uint8Array[];
            } & (
              ({ message?: undefined; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null }|{ message?: "welcome"; welcome: tailrace.v1.Welcome.$Shape; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null }|{ message?: "subscribed"; welcome?: null; subscribed: tailrace.v1.Subscribed.$Shape; data?: null; unsubscribed?: null; pong?: null; draining?: null; error?: null }|{ message?: "data"; welcome?: null; subscribed?: null; data: tailrace.v1.Data.$Shape; unsubscribed?: null; pong?: null; draining?: null; error?: null }|{ message?: "unsubscribed"; welcome?: null; subscribed?: null; data?: null; unsubscribed: tailrace.v1.Unsubscribed.$Shape; pong?: null; draining?: null; error?: null }|{ message?: "pong"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong: tailrace.v1.Pong.$Shape; draining?: null; error?: null }|{ message?: "draining"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining: tailrace.v1.Draining.$Shape; error?: null }|{ message?: "error"; welcome?: null; subscribed?: null; data?: null; unsubscribed?: null; pong?: null; draining?: null; error: tailrace.v1.Error.$Shape })
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

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Data. */
            type $Shape = {
              view?: number|null;
              reports?: tailrace.v1.Delivery.$Shape[]|null;
              snapshot?: boolean|null;
              $unknowns?: Uint8Array[];
            };
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

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Error. */
            type $Shape = tailrace.v1.Error.$Properties;
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

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a RelayFrame. */
            type $Shape = tailrace.v1.RelayFrame.$Properties;
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

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an OwnerRequest. */
            type $Shape = tailrace.v1.OwnerRequest.$Properties;
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

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an OwnerReply. */
            type $Shape = tailrace.v1.OwnerReply.$Properties;
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

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a DeviceState. */
            type $Shape = tailrace.v1.DeviceState.$Properties;
        }
    }
}
