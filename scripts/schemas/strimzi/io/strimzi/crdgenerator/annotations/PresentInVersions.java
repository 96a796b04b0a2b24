package io.strimzi.crdgenerator.annotations;

import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;

/** Strimzi's classes carry it, and its own definition is not published: without one Java leaves it out. */
@Retention(RetentionPolicy.RUNTIME)
public @interface PresentInVersions {
    String value();
}
