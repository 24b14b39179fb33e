import { OutcomeUnknownError } from "../domain/errors.ts";
import type { UserRepository } from "../repository/user-repository.ts";

/** The same repository, which tells of each write that has succeeded, and of each that may have taken effect. */
export function announcing(users: UserRepository, announce: () => void): UserRepository {
  const announced = async <T>(writing: Promise<T>): Promise<T> => {
    try {
      const result = await writing;
      announce();
      return result;
    } catch (error) {
      if (error instanceof OutcomeUnknownError) announce();
      throw error;
    }
  };
  return {
    keepsUsers: users.keepsUsers,
    changes: users.changes,
    get: (id, scope) => users.get(id, scope),
    getMany: (ids, scope) => users.getMany(ids, scope),
    list: (page, scope) => users.list(page, scope),
    listAsOf: (page, scope) => users.listAsOf(page, scope),
    isSuspended: (id) => users.isSuspended(id),
    create: (drafts, scope) => announced(users.create(drafts, scope)),
    update: (id, change, scope) => announced(users.update(id, change, scope)),
    delete: (id, check, scope) => announced(users.delete(id, check, scope)),
  };
}
