/** Roles a caller can prove. A service acts for itself, not for a person. */
export const PRINCIPAL_ROLES = ["user", "admin", "service"] as const;

/** What a caller may do. */
export type PrincipalRole = (typeof PRINCIPAL_ROLES)[number];

/** Says whether a value is a role that a caller can prove. */
export function isPrincipalRole(value: unknown): value is PrincipalRole {
  return PRINCIPAL_ROLES.some((role) => role === value);
}

/** Who is calling. */
export interface Principal {
  /** The caller's user id, or the name of a service. */
  readonly id: string;
  readonly role: PrincipalRole;
}
